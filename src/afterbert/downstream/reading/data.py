"""A task's rows, read and looked over: what is odd, what leaks between splits, what a guess without a model
is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xxhash

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.reading import columns as columns_of
from afterbert.downstream.reading.source import TaskSource, languages_told, splits_within
from afterbert.downstream.reading.switched_rows import SwitchedRows
from afterbert.downstream.tasks import Task, labels_of


@dataclass(frozen=True)
class TaskData:
    """task: settled by the training rows. splits: all rows that were read; `usable` ones have text and a label.

    notes: one line each on what is odd about the data.
    """

    name: str
    task: Task
    splits: Mapping[str, tuple[Example, ...]]
    notes: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    """Part -> column of the first file read, which is the training file where there is one."""
    languages: Mapping[str, str] = field(default_factory=dict)
    """Split -> the language that its file's name tells."""
    switched: SwitchedRows | None = None
    """Words of other languages in which training rows stand again."""

    def language_of(self, split: str) -> str | None:
        """Returns the language of a split, or that of the training rows when the split names none."""
        return self.languages.get(split, self.languages.get("train"))

    def usable(self, split: str) -> tuple[Example, ...]:
        """Returns the rows of a split that can be trained on and scored. Raises UserError if there are none."""
        if split not in self.splits:
            raise UserError(f"{self.name}: has no split '{split}'; it has {', '.join(self.splits)}")
        found = tuple(example for example in self.splits[split] if self.task.is_usable(example))
        if not found:
            raise UserError(f"{self.name}: no row of {split} has text and a label; is it a test set without labels?")
        return found

    def readable(self, split: str) -> tuple[Example, ...]:
        """Returns the rows of a split that have text; in the training split, those that have a label too."""
        fits = self.task.is_usable if split == "train" else self.task.has_text
        return tuple(example for example in self.splits[split] if fits(example))

    def asked(self, split: str) -> tuple[Example, ...]:
        """Returns the `readable` rows of a split, and after those to learn from their copies in other words."""
        rows = self.readable(split)
        return rows if self.switched is None or split != "train" else (*rows, *self.switched.of(rows, self.task))

    def said_rows(self, split: str) -> str:
        """Returns in words how many rows a split has, and how many can be learned or scored, if not all."""
        count = len(self.splits[split])
        usable = sum(map(self.task.is_usable, self.splits[split]))
        return f"{count:,}" if usable == count else f"{usable:,} with text and label of {count:,}"

    @property
    def is_judged(self) -> bool:
        """Whether it has dev rows with labels."""
        return any(self.task.is_usable(row) for row in self.splits.get("dev", ()))

    def scores(self, split: str, predictions: Sequence[Any]) -> dict[str, float]:
        """Returns metric -> value of predictions for the `readable` rows of a split."""
        pairs = zip(self.readable(split), predictions, strict=True)
        usable = [(example, guess) for example, guess in pairs if self.task.is_usable(example)]
        return self.task.score([guess for _, guess in usable], [example for example, _ in usable])

    def baseline(self, split: str) -> Baseline:
        """Predicts by guessing from the training rows for the usable rows of a split."""
        return self.task.baseline(self.usable("train") if "train" in self.splits else (), self.usable(split))

    def with_dev(self, *, share: float = 0.1, seed: int = 0, draw: str = "hold out") -> TaskData:
        """Gives the same data with a `dev` split: its own, else a share of the training rows. Equal texts
        (of questions: equal contexts) stay together. draw: names the noise; of rows that one draw has left, another
        must hold out."""
        if "dev" in self.splits:
            return self
        train = self.splits["train"]
        keys = np.array([content_key(self.task.kept_together(row)) for row in train], dtype=np.uint64)
        is_dev = Noise(seed).of(draw).uniform(keys) < share
        if not is_dev.any() or is_dev.all():
            raise UserError(f"{self.name}: {len(train)} training rows are too few to hold some out; name a dev file")
        drawn = [example for example, held in zip(train, is_dev) if held]
        findings = Findings()
        held = self.task.finished(drawn, findings, is_scored=True)
        kept = tuple(example for example, held in zip(train, is_dev) if not held)
        note = f"no dev split: {len(held):,} of {len(train):,} training rows are held out as one"
        notes = (*self.notes, note, *(f"dev: {line}" for line in findings.lines()))
        return replace(self, splits={**self.splits, "train": kept, "dev": held}, notes=notes)

    @property
    def leaked(self) -> frozenset[tuple[str, ...]]:
        """Texts of training rows that stand in another split too."""
        elsewhere = {e.texts for split, examples in self.splits.items() if split != "train" for e in examples}
        return frozenset(example.texts for example in self.splits.get("train", ()) if example.texts in elsewhere)

    def without_leaks(self) -> TaskData:
        """Leaves out training rows whose texts stand in another split."""
        leaked = self.leaked
        kept = tuple(example for example in self.splits["train"] if example.texts not in leaked)
        note = f"{len(self.splits['train']) - len(kept):,} training rows that stand in another split are left out"
        return replace(self, splits={**self.splits, "train": kept}, notes=(*self.notes, note))


def content_key(texts: tuple[str, ...]) -> int:
    """Returns a 64-bit key of the texts."""
    return xxhash.xxh3_64_intdigest("\x1f".join(texts).encode("utf-8", "surrogatepass"))


def read(source: TaskSource, *, needs_training: bool = True) -> TaskData:
    """Returns all splits of a source, checked for oddities. A single file counts as `train`, whatever its name.

    needs_training: False for measuring a model whose task is settled already; its labels are then all there are. Raises
    UserError if the rows cannot be used at all.
    """
    splits: dict[str, tuple[Example, ...]] = {}
    notes: list[str] = []
    first: dict[str, str] = {}
    reads = source.task
    for split, path in sorted(source.files.items(), key=lambda one: one[0] not in ("train", "all")):
        findings = Findings()
        table = source.format.read(path, findings)
        columns = _columns(source, table)
        first = first or columns
        # A lone file is what there is to learn from, whatever it is called.
        is_alone = split == "all" or (len(source.files) == 1 and source.task.usual_head is not None)
        tables, by = splits_within(table, columns.values()) if is_alone and needs_training else ({split: table}, None)
        if is_alone and needs_training and split in ("dev", "test") and by is None:
            notes.append(f"{path.name} is the only file, so it is trained on, though its name says {split}")
        split = next(iter(tables))
        reads = reads.informed(tables[split], columns)
        splits |= {one: reads.examples(rows, columns, findings) for one, rows in tables.items()}
        notes += [f"column '{by}' says of each row which split it is of"] if by else []
        notes += [f"{split}: {line}" for line in findings.lines()]
    if needs_training and "train" not in splits:
        raise UserError(_nothing_to_train_on(source))
    basis = splits.get("train") or tuple(example for examples in splits.values() for example in examples)
    usable = tuple(example for example in basis if reads.is_usable(example))
    try:
        # A model's own task is settled, and its rows need no labels.
        task = reads.settled(usable) if needs_training or usable or not reads.metrics else reads
    except UserError as error:
        if usable or not notes:
            raise
        raise UserError(f"{error} ({len(basis):,} rows were read; {notes[0]})") from error
    for split, rows in splits.items():
        findings = Findings()
        splits[split] = task.finished(rows, findings, is_scored=split != "train")
        notes += [f"{split}: {line}" for line in findings.lines()]
    own = () if needs_training else labels_of(source.task)
    notes += [*_labels_alone(task, splits.get("train", ())), *_unseen_labels(task, splits, own), *_leaks(splits)]
    return TaskData(source.name, task, splits, tuple(notes), first, languages_told(source.files))


def _nothing_to_train_on(source: TaskSource) -> str:
    if source.task.usual_head is None:
        return f"{source.name}: holds pairs to compare, and nothing to train on; score a model with --pairs"
    held = ", ".join(f"{path.name} ({split}, by its name)" for split, path in source.files.items())
    return (
        f"{source.name}: has no training rows among {held}; name a file or folder with some, or say which file is "
        "what under files: in a task file"
    )


def _columns(source: TaskSource, table: Table) -> dict[str, str]:
    """Part -> column of this table; what the source leaves open is found by name. The label may be missing (a
    test set)."""
    task = source.task
    given = {
        part: columns_of.check(table, part, column)
        for part, column in source.columns.items()
        if part != task.label_part
        or not table.has_header
        or all(one in table.columns for one in column.split("+"))
        or len(source.files) == 1
    }
    found = task.match(table, given)
    if found is not None:
        return found
    found = given | task.texts_among(table.columns, given)
    missing = [part for part in task.parts if part not in (task.label_part, *found)]
    if missing:
        raise UserError(
            f"{table.path}: no column for {', '.join(missing)} among {', '.join(table.columns)}; "
            f"say --columns {missing[0]}=..."
        )
    return found


def _labels_alone(task: Task, train: Sequence[Example]) -> list[str]:
    """Classes that one training row alone has, which may be none: a spreadsheet's last row of sums, a slip."""
    rows: dict[Any, list[str]] = {}
    for example in filter(task.is_usable, train if task.answer in ("class", "labels") else ()):
        for label in set(example.labels):
            rows.setdefault(label, []).append(example.key)
    alone = [f"{keys[0]}: '{label}'" for label, keys in rows.items() if len(keys) == 1]
    if not 0 < len(alone) < len(rows):
        return []
    return [f"train: {len(alone):,} labels that a single row has; sums, or slips? (first: {alone[0]})"]


def _unseen_labels(task: Task, splits: Mapping[str, Sequence[Example]], own: Sequence[str]) -> list[str]:
    """Labels of other splits that training does not have, and labels asked for that it has no row of. own: the labels
    of a model that was trained before, in place of those of the training rows."""
    labels, knower = labels_of(task), "the model" if own else "train"
    if not labels or not (own or "train" in splits):
        return []
    usable = filter(task.is_usable, splits.get("train", ()))
    given = Counter(label for example in usable for label in example.labels)
    is_named = not own and task.answer in ("class", "labels")
    strange = [label for label in given if is_named and label not in labels]
    trained = set(own) or {*given} - {*strange}
    empty = [label for label in labels if label not in trained]
    notes = [f"train: no row has the label {', '.join(map(repr, empty))}; it is never learned"] if empty else []
    if strange:
        names, count = ", ".join(sorted(map(str, strange))[:5]), sum(given[label] for label in strange)
        notes.append(f"train: labels that the task does not name ({names}) are not learned: {count:,}")
    for split, examples in splits.items():
        if split == "train" and not own:
            continue
        found = [label for example in examples for label in example.labels]
        unseen = [label for label in found if label not in trained]
        if unseen and len(unseen) == len(found):
            raise UserError(
                f"{split}: none of its labels ({', '.join(sorted(map(str, set(unseen)))[:5])}) occurs in {knower} "
                f"({', '.join(map(str, labels[:5]))}); are the columns and the files the right ones?"
            )
        if unseen:
            names = ", ".join(sorted(map(str, set(unseen)))[:5])
            notes.append(f"{split}: labels that {knower} does not have ({names}) count as wrong: {len(unseen):,}")
    return notes


def _leaks(splits: Mapping[str, Sequence[Example]]) -> list[str]:
    """Exact duplicates within training and between splits."""
    notes = []
    seen: dict[str, dict[tuple[str, ...], Example]] = {}
    for split, examples in splits.items():
        for earlier, known in seen.items():
            twice = [(example, known[example.texts]) for example in examples if example.texts in known]
            if twice and earlier == "train":
                other = sum(a.label != b.label for a, b in twice)
                notes.append(
                    f"{split}: {len(twice):,} rows stand in train too, {other:,} of them with another label "
                    f"(first: {twice[0][0].key} = {twice[0][1].key})"
                )
            elif twice and (earlier, split) == ("dev", "test"):
                first = f"{twice[0][0].key} = {twice[0][1].key}"
                notes.append(f"{split}: {len(twice):,} rows stand in {earlier} too (first: {first})")
        seen[split] = {}
        repeats = [e for e in examples if seen[split].setdefault(e.texts, e) is not e]
        if repeats and split in ("train", "dev", "test"):
            other = sum(seen[split][e.texts].label != e.label for e in repeats)
            notes.append(
                f"{split}: {len(repeats):,} rows repeat an earlier one, {other:,} of them with another label "
                f"(first: {repeats[0].key})"
            )
    return notes
