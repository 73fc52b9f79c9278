"""Predictions and figures of finished seeds: written, read again, and summed up beside what guessing is worth."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.runs import write_atomically
from afterbert.base.sealed import digest_of, read_sealed, sealed, write_sealed
from afterbert.downstream.example import AnswerSpan, Example
from afterbert.downstream.figures.statistics import Interval, Spread, interval, over_seeds, paired_interval
from afterbert.downstream.metrics import in_print
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.tasks import Labelled, Task
from afterbert.training.checkpoints.identity import RunIdentity


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class over all seeds."""

    precision: float
    """Of what was given this class, the share that has it; 0 if nothing was."""
    recall: float
    """Of what has this class, the share that was given it; 0 if nothing has."""
    f1: float
    """Their harmonic mean."""
    support: int
    """How many things have it, in one seed: rows, or words, or entities."""


def figures_by_class(task: Task, runs: Sequence[Sequence[Any]], truths: Sequence[Any]) -> dict[str, ClassFigures]:
    """Class -> its figures, from predictions [seeds][rows] and labels [rows]; none for tasks without classes.

    >>> from afterbert.downstream.tasks.sentence_classification import SentenceClassification
    >>> figures_by_class(SentenceClassification(labels=("a", "b")), [["a", "a", "b"]], ["a", "b", "b"])["b"]
    ClassFigures(precision=1.0, recall=0.5, f1=0.6666666666666666, support=2)
    """
    if not isinstance(task, Labelled):
        return {}
    right: Counter[str] = Counter()
    given: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for run in runs:
        for guess, truth in zip(run, truths, strict=True):
            found, wanted = Counter(task.counted(guess)), Counter(task.counted(truth))
            right.update(name for name, _ in (found & wanted).elements())
            given.update(name for name, _ in found.elements())
            there.update(name for name, _ in wanted.elements())
    order = [name for name in task.labels if name in there or name in given]
    order += sorted((there.keys() | given.keys()) - set(order))
    return {
        name: ClassFigures(
            right[name] / max(given[name], 1),
            right[name] / max(there[name], 1),
            2 * right[name] / max(given[name] + there[name], 1),
            there[name] // max(len(runs), 1),
        )
        for name in order
    }


def taken_for(task: Task, runs: Sequence[Sequence[Any]], truths: Sequence[Any]) -> dict[str, dict[str, int]]:
    """Returns true class -> predicted class -> how often, over all seeds, for tasks that give each item one class; else
    an empty mapping."""
    counts: dict[str, Counter[str]] = {}
    if not isinstance(task, Labelled) or task.answer not in ("class", "tags") or task.marks_entities:
        return {}
    for run in runs:
        for guess, truth in zip(run, truths, strict=True):
            for (wanted, _), (found, _) in zip(task.counted(truth), task.counted(guess)):
                counts.setdefault(wanted, Counter())[found] += 1
    order = [*task.labels, *sorted(counts.keys() - set(task.labels))]
    return {name: dict(counts[name]) for name in order if name in counts}


#: Task -> split -> one prediction for each readable row.
Predictions = Mapping[str, Mapping[str, Sequence[Any]]]


@dataclass(frozen=True)
class SplitResult:
    """One split over all seeds. metrics: name -> spread, the main one first; interval: of the main one over examples
    and seeds; baseline: what guessing scores, and `gain`, the main metric's difference to it, paired. no_answers: of
    each seed, written texts that are no answer of the task, which count as wrong; empty if nothing was written."""

    rows: int
    metrics: Mapping[str, Spread]
    interval: Interval
    baseline: str
    baseline_metrics: Mapping[str, float]
    gain: Interval
    groups: Mapping[str, float]
    no_answers: tuple[int, ...] = ()
    by_class: Mapping[str, ClassFigures] = field(default_factory=dict)
    """Class -> precision, recall, F1 and support; none for tasks without classes."""
    taken_for: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """True class -> class given -> how often, over all seeds."""


@dataclass(frozen=True)
class TaskResult:
    """All labelled splits of a task."""

    name: str
    task: Mapping[str, Any]
    splits: Mapping[str, SplitResult]
    languages: Mapping[str, str] = field(default_factory=dict)
    """Split -> language, where files tell it."""

    def lines(self) -> list[str]:
        """Returns one line for each split, in percent: `sst2 dev: accuracy 90.1 ± 0.3 (always '1': 50.9)`."""
        found = []
        for split, result in self.splits.items():
            shown = ", ".join(
                f"{name} {_percent(spread, name)} ({in_print(name, result.baseline_metrics[name])})"
                for name, spread in result.metrics.items()
            )
            found.append(f"{self.name} {split} ({result.rows:,} rows): {shown}; in brackets: {result.baseline}")
        return found


def summarize(data: TaskData, runs: Sequence[Mapping[str, Sequence[Any]]], *, is_written: bool = False) -> TaskResult:
    """Returns the figures of one task from its predictions [seeds][split][rows]. is_written: whether they were read
    from generated texts."""
    splits = {}
    for split in runs[0]:
        readable = [example for example in data.splits[split] if data.task.has_text(example)]
        places = [i for i, example in enumerate(readable) if data.task.is_usable(example)]
        if places:
            examples = [readable[i] for i in places]
            guesses = [[run[split][i] for i in places] for run in runs]
            splits[split] = _split(data, split, examples, guesses)
            if is_written:
                counts = (sum(not data.task.is_answer(guess) for guess in one) for one in guesses)
                splits[split] = replace(splits[split], no_answers=tuple(counts))
    languages = {split: code for split in splits if data.languages and (code := data.language_of(split))}
    return TaskResult(data.name, to_plain(data.task), splits, languages)


def _split(data: TaskData, split: str, examples: Sequence[Example], runs: Sequence[Sequence[Any]]) -> SplitResult:
    noise = Noise(0).of("bootstrap")
    scores = [data.task.score(run, examples) for run in runs]
    truths = [example.label for example in examples]
    baseline, main = data.baseline(split), data.task.metrics[0]
    groups = sorted({example.group for example in examples} - {""})
    return SplitResult(
        rows=len(examples),
        metrics={name: over_seeds([score[name] for score in scores]) for name in scores[0]},
        interval=interval(main, runs, truths, noise=noise),
        baseline=baseline.name,
        baseline_metrics=data.task.score(baseline.predictions, examples),
        gain=paired_interval(main, runs, [baseline.predictions], truths, noise=noise),
        by_class=figures_by_class(data.task, runs, truths),
        taken_for=taken_for(data.task, runs, truths),
        groups={
            group: main(
                [p for p, e in zip(runs[0], examples) if e.group == group],
                [t for t, e in zip(truths, examples) if e.group == group],
            )
            for group in groups
        },
    )


def write_results(path: Path, made: Sequence[TaskResult], facts: Mapping[str, Any]) -> None:
    """Writes `results.json`: the facts of the run and the figures of each task."""
    tasks = {result.name: asdict(result) for result in made}
    write_atomically(path, json.dumps(sealed({**facts, "tasks": tasks}), indent=1, ensure_ascii=False) + "\n")


def write_predictions(
    folder: Path,
    found: Mapping[str, Mapping[str, Sequence[Prediction]]],
    examples: Mapping[str, Mapping[str, Sequence[Example]]],
    *,
    identity: RunIdentity,
) -> None:
    """Writes `predictions/TASK.SPLIT.jsonl`, one line for each row as `write_split` has it; last of all, what they were
    made from."""
    (folder / "predictions").mkdir(exist_ok=True)
    digests = {}
    for name, splits in found.items():
        for split, predictions in splits.items():
            path = folder / "predictions" / f"{name}.{split}.jsonl"
            write_split(path, predictions, examples[name][split])
            digests[path.name] = digest_of(path.read_text(encoding="utf-8"))
    write_sealed(folder / "predictions" / "identity.json", identity.plain() | {"digests": digests})


def write_split(path: Path, predictions: Sequence[Prediction], examples: Sequence[Example]) -> None:
    """Writes one line for each row: its key and text, the prediction with what else is known of it (confidence,
    probabilities, places), and its label."""
    lines = []
    for example, one in zip(examples, predictions, strict=True):
        text = example.texts[0] if len(example.texts) == 1 else list(example.texts)
        place = {"start": one.span.start, "end": one.span.end} if one.span is not None else {}
        record = {"key": example.key, "text": text, **one.plain(), **place, "label": _plain(example.label)}
        lines.append(json.dumps(record, ensure_ascii=False))
    write_atomically(path, "\n".join(lines) + "\n")


def read_split(path: Path) -> list[dict[str, Any]]:
    """Reads the lines that `write_split` wrote. Texts may hold other ends of lines than theirs, such as U+2028."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def read_predictions(folder: Path, tasks: Sequence[TaskData], *, identity: RunIdentity) -> Predictions | None:
    """Reads what a finished seed predicted; None if it has not finished. Raises UserError if it was made from something
    else."""
    made_from = folder / "predictions" / "identity.json"
    if not made_from.exists():
        return None
    remedy = f"delete {folder / 'predictions'} to have them made again"
    kept = read_sealed(made_from, remedy=remedy)
    identity.check(kept, allow_changes=False)
    found: dict[str, dict[str, list[Any]]] = {}
    for data in tasks:
        found[data.name] = {}
        for split in data.splits:
            path = folder / "predictions" / f"{data.name}.{split}.jsonl"
            if path.exists():
                text = path.read_text(encoding="utf-8")
                if kept.get("digests", {}).get(path.name, digest_of(text)) != digest_of(text):
                    raise UserError(f"{path} was changed after it was written; {remedy}")
                found[data.name][split] = [tupled(record["prediction"]) for record in read_split(path)]
    return found


def remove(path: Path) -> None:
    """Removes a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _plain(label: Any) -> Any:
    if isinstance(label, AnswerSpan):
        return {"text": label.text, "answer_start": label.start}
    if isinstance(label, tuple):
        return [_plain(one) for one in label]
    return label


def tupled(value: Any) -> Any:
    """Returns a value as it was before JSON made lists of its tuples."""
    return tuple(tupled(one) for one in value) if isinstance(value, list) else value


def _percent(spread: Spread, name: str) -> str:
    deviation = "" if spread.deviation is None else f" ± {in_print(name, spread.deviation)}"
    return f"{in_print(name, spread.mean)}{deviation}"
