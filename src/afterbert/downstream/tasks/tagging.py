"""A tag for each word: entities in BIO or BIOES, parts of speech (WNUT-17, CoNLL-2003, Universal Dependencies)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.entity_f1 import EntityF1, entities
from afterbert.downstream.metrics.tag_accuracy import TagAccuracy
from afterbert.downstream.reading.cells import held_in
from afterbert.downstream.reading.columns import Held, is_missing, profile
from afterbert.downstream.reading.words import FoundWords, words_between_spaces, words_in
from afterbert.downstream.tasks import Labelled
from afterbert.downstream.tasks._classes import label_names

Scheme = Literal["none", "bio", "bioes"]
_IN_SCHEME = re.compile(r"O|[BIES]-.+")
_ENTITY = re.compile(r"[BIES]-.+")
_NO_TAG = ("", "_")


@dataclass(frozen=True)
class Tagging(Labelled):
    """texts: the words. label and prediction: a tuple of tags.

    A broken scheme is not mended; entities are read from it as conlleval does.
    """

    parts: ClassVar[tuple[str, ...]] = ("words", "tags")
    optional_parts: ClassVar[tuple[str, ...]] = ("sentence_id",)
    joining_part: ClassVar[str | None] = "sentence_id"
    label_part: ClassVar[str | None] = "tags"
    answer: ClassVar[str] = "tags"
    usual_head: ClassVar[str | None] = "token"
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "words": ("words", "tokens", "form", "token", "word"),
        "tags": ("tags", "ner_tags", "pos_tags", "upos", "xpos", "labels", "tag", "label"),
        "sentence_id": ("sentence #", "sentence_id", "sent_id", "sentence_idx"),
    }
    precedence: ClassVar[int] = 5
    is_told_by_values: ClassVar[bool] = True
    text_names: ClassVar[tuple[str, ...]] = ("words",)

    labels: tuple[str, ...] = ()
    """The tags."""
    scheme: Scheme | None = None
    """What the tags mean; left out: entities are scored if every tag is `O`, `B-`, `I-`, `E-` or `S-` something, else
    single tags."""
    is_spaced: bool | None = None
    """Whether the words stand in one text with spaces between them, rather than in a list or a line each; left out, the
    first file read tells."""
    metrics: tuple[Metric, ...] = ()

    def match(self, table: Table, given: Mapping[str, str]) -> dict[str, str] | None:
        """Returns the columns, also of a text beside a column that holds a tag of a scheme for each of its words."""
        found = super().match(table, given)
        if found is None and not given:
            tags = [name for name in table.columns if _holds_rows_of_tags(table.column(name)[:2000])]
            texts = [name for name in table.columns if profile(table.column(name)[:2000]) == "text"]
            return {"words": texts[0], "tags": tags[0]} if len(tags) == len(texts) == 1 else None
        return found

    def offer(self, held: Held) -> dict[str, str]:
        return {"words": held.lists[0], "tags": held.lists[-1]} if len(held.lists) > 1 else {}

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        """Returns words and tags; a row with different numbers of words and tags has no label."""
        words = _cells(record.get(columns["words"]))
        tags = _cells(record.get(columns["tags"])) if "tags" in columns else ()
        tags = tuple(tags[0].split(",")) if len(tags) == 1 < len(words) else tags
        if not tags or any(tag in _NO_TAG for tag in tags):
            return Example(key, words, None)
        if len(tags) != len(words):
            findings.add("rows with more or fewer tags than words (left out)", key)
            return Example(key, words, None)
        return Example(key, words, tags)

    def examples(self, table: Table, columns: Mapping[str, str], findings: Findings) -> tuple[Example, ...]:
        """Returns all rows; tags that break the scheme are counted."""
        found = super().examples(_with_whole_sentences(table, columns, findings), columns, findings)
        scheme = self.scheme or scheme_of(tag for example in found for tag in example.label or ())
        if scheme == "none" and self.scheme is None and any(map(_entities, found)):
            for example in found:
                others = sum(not _IN_SCHEME.fullmatch(tag) for tag in example.label or ())
                findings.add("tags of no scheme among B- and I- tags, so no entities are scored", example.key, others)
        if scheme != "none":
            for example in found:
                broken = breaks(example.label or (), scheme)
                what = f"tags that break the {scheme.upper()} scheme (entities read as conlleval does)"
                findings.add(what, example.key, broken)
        return found

    def informed(self, table: Table, columns: Mapping[str, str]) -> Tagging:
        if self.is_spaced is not None:
            return self
        return replace(self, is_spaced=any(isinstance(held_in(one), str) for one in table.column(columns["words"])[:9]))

    def joins(self, record: Mapping[str, Any], before: Mapping[str, Any], columns: Mapping[str, str]) -> bool:
        """Returns whether a word belongs to the sentence before it: it has the same mark, or none."""
        name = columns.get("sentence_id")
        if name is None or len(_cells(record.get(columns["words"]))) > 1:
            return False
        return is_missing(record.get(name)) or record.get(name) == before.get(name)

    def words_of(self, text: str) -> FoundWords:
        """Returns the words as those of the training data were found: between spaces, or else by the word finder."""
        return words_between_spaces(text) if self.is_spaced else words_in(text)

    @property
    def marks_entities(self) -> bool:
        return self.scheme in ("bio", "bioes")

    def counted(self, label: Any) -> list[tuple[str, Any]]:
        """Entities with their places where tags mark them, else each word's tag."""
        if self.marks_entities:
            return [(kind, (first, behind)) for kind, first, behind in entities(label)]
        return [(tag, place) for place, tag in enumerate(label)]

    def has_text(self, example: Example) -> bool:
        """Returns whether some word can be read; single words that are only spaces do occur."""
        return any(word.strip() for word in example.texts)

    def settled(self, examples: Sequence[Example]) -> Tagging:
        tags = (tag for example in examples for tag in example.label or ())
        labels = self.labels or label_names(tags, len(examples))
        scheme = self.scheme or scheme_of(labels)
        metrics = (TagAccuracy(),) if scheme == "none" else (EntityF1(), TagAccuracy())
        return replace(self, labels=labels, scheme=scheme, metrics=self.metrics or metrics)

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Returns the tag that each word has most often, and for unseen words the most frequent tag of all; without
        `train` that of `examples` for all words."""
        by_word: dict[str, Counter[str]] = {}
        overall: Counter[str] = Counter()
        for example in train:
            for word, tag in zip(example.texts, example.label or ()):
                by_word.setdefault(word, Counter())[tag] += 1
                overall[tag] += 1
        if not train:
            overall.update(tag for example in examples for tag in example.label or ())
        most = max(self.labels, key=lambda tag: overall[tag])
        best = {word: max(sorted(tags), key=lambda tag: tags[tag]) for word, tags in by_word.items()}
        guesses = (tuple(best.get(word, most) for word in example.texts) for example in examples)
        name = f"each word's most frequent tag, '{most}' for unseen words"
        return Baseline(name if train else f"always '{most}', the most frequent tag of these rows", tuple(guesses))

    def target_text(self, label: Any) -> str:
        return " ".join(label)

    def read_answer(self, written: str) -> Any:
        return tuple(written.split())

    def source_text(self, example: Example, prefix: str) -> str:
        return f"{prefix} words: {' '.join(example.texts)}".strip()


def _entities(example: Example) -> int:
    """How many tags begin as those of entities do."""
    return sum(bool(_ENTITY.fullmatch(tag)) for tag in example.label or ())


def _cells(value: Any) -> tuple[str, ...]:
    """A cell as a list of words: a list, also a written one, or text with spaces between them."""
    value = held_in(value)
    if isinstance(value, (list, tuple)):
        return tuple("" if item is None else str(item) for item in value)
    return tuple(str(value).split()) if value is not None else ()


def _holds_rows_of_tags(values: Sequence[Any]) -> bool:
    """Whether each cell holds tags of a scheme for spans, with spaces or commas between them.

    >>> _holds_rows_of_tags(["O B-x", "O"]), _holds_rows_of_tags(["O,B-x", "['O', 'O']"])
    (True, True)
    """
    rows = [
        _cells(value.replace(",", " ") if value[:1] != "[" else value) for value in values if isinstance(value, str)
    ]
    return any(len(row) > 1 for row in rows) and all(_IN_SCHEME.fullmatch(tag) for row in rows for tag in row)


def _with_whole_sentences(table: Table, columns: Mapping[str, str], findings: Findings) -> Table:
    """Where every row is a single word, a row for each sentence, by the column that names the sentence of a word, or
    that of its first word alone."""
    words, name = columns["words"], columns.get("sentence_id")
    cells = [str(cell) for cell in table.column(words) if not isinstance(cell, (list, tuple))]
    if len(cells) < max(2, len(table.records)) or any(" " in cell.strip() for cell in cells):
        return table
    if name is None:
        findings.add(
            "rows of a single word, each read as a sentence (--columns sentence_id=... says what joins words)",
            table.keys[0],
            len(cells),
        )
        return table
    groups: list[list[int]] = []
    for number, mark in enumerate(table.column(name)):
        groups += [[]] if not groups or not (is_missing(mark) or mark == table.records[number - 1].get(name)) else []
        groups[-1].append(number)
    rows = [{part: [table.records[n].get(part) for n in group] for part in table.columns} for group in groups]
    return replace(table, records=tuple(rows), keys=tuple(table.keys[group[0]] for group in groups))


def scheme_of(tags: Any) -> Scheme:
    """Returns the scheme that tags are written in.

    >>> scheme_of(["O", "B-x"]), scheme_of(["O", "S-x"]), scheme_of(["NOUN"])
    ('bio', 'bioes', 'none')
    """
    distinct = set(tags)
    if distinct <= {"O"} or not all(_IN_SCHEME.fullmatch(tag) for tag in distinct):
        return "none"
    return "bioes" if any(tag[0] in "ES" for tag in distinct) else "bio"


def breaks(tags: Sequence[str], scheme: Scheme) -> int:
    """Returns how many neighbouring tags of a sentence break the scheme.

    >>> breaks(["O", "I-x", "I-x"], "bio"), breaks(["B-x", "I-y"], "bio")
    (1, 1)
    >>> breaks(["B-x", "O"], "bioes"), breaks(["B-x", "E-x"], "bioes")
    (1, 0)
    """
    found = 0
    for before, after in zip(["O", *tags], [*tags, "O"]):
        (left, _, left_type), (right, _, right_type) = before.partition("-"), after.partition("-")
        goes_on = right in ("I", "E")
        if scheme == "bio":
            found += goes_on and (left == "O" or left_type != right_type)
        else:
            is_open = left in ("B", "I")
            found += goes_on != is_open or (goes_on and left_type != right_type)
    return found
