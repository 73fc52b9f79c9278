"""One text, any number of labels: none, one or several (toxicity of comments, emotions, genres)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.accuracy import Accuracy
from afterbert.downstream.metrics.f1 import F1
from afterbert.downstream.reading.cells import held_in
from afterbert.downstream.reading.columns import FLAGS, Held, is_flat, separator_of
from afterbert.downstream.tasks import Labelled
from afterbert.downstream.tasks._classes import LABEL_NAMES, NO_CLASS, TEXT_NAMES, class_label, label_names

_SEVERAL = ("labels", "tags", "genres", "categories", "emotions", "topics", "classes")
_NONE_WRITTEN = "-"
_PLACES = "01"


@dataclass(frozen=True)
class MultiLabel(Labelled):
    """The text is the only one of `texts`. Label and prediction are a tuple of label names in alphabetical order, empty
    for none. They are read from a column of lists, from one with separators between them, or from one column of 0 and 1
    for each label.
    """

    parts: ClassVar[tuple[str, ...]] = ("text", "labels")
    label_part: ClassVar[str | None] = "labels"
    answer: ClassVar[str] = "labels"
    usual_head: ClassVar[str | None] = "each_label"
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {"text": TEXT_NAMES, "labels": (*_SEVERAL, *LABEL_NAMES)}
    precedence: ClassVar[int] = 4
    is_told_by_values: ClassVar[bool] = True
    text_names: ClassVar[tuple[str, ...]] = ("sentence",)

    labels: tuple[str, ...] = ()
    separator: str | None = None
    """What stands between labels in a cell, `[` for cells written as lists, `01` for lists that say 0 or 1 of each
    label in turn; None: looked at in the training rows."""
    metrics: tuple[Metric, ...] = (F1("micro"), F1("macro"), Accuracy())

    def find(self, part: str, columns: Sequence[str]) -> str | None:
        """Returns the column of the labels by its name, or one column for each where all are known."""
        if part == "labels" and self.labels and set(self.labels) <= set(columns):
            return "+".join(self.labels)
        return super().find(part, columns)

    def fits(self, table: Table, columns: Mapping[str, str]) -> bool:
        values = table.column(columns["labels"])
        lists = [value for value in values if isinstance(value, (list, tuple))]
        if lists:
            return all(map(is_flat, lists)) and max(map(len, lists)) > 1
        return "+" in columns["labels"] or separator_of(values) is not None

    def offer(self, held: Held) -> dict[str, str]:
        """Returns the one text, and either a column of several labels or two and more columns of 0 and 1."""
        if len(held.texts) != 1 or len(held.lists) > 1:
            return {}
        labels = held.several or (["+".join(held.flags)] if len(held.flags) > 1 else [])
        return dict(zip(("text", "labels"), (*held.texts, *labels)))

    def informed(self, table: Table, columns: Mapping[str, str]) -> MultiLabel:
        """Returns the task with the names of the labels where each has its column, else with their separator."""
        column = columns.get("labels")
        if column is None:
            return self
        if _is_joined(column, table.columns):
            return replace(self, labels=self.labels or tuple(column.split("+")))
        values = table.column(column)
        places = _number_of_places(values)
        if self.separator is None and places:
            names = tuple(str(number + 1) for number in range(places))
            return replace(self, separator=_PLACES, labels=self.labels or names)
        if self.separator or any(isinstance(value, (list, tuple)) for value in values):
            return self
        return replace(self, separator=separator_of(values))

    def examples(self, table: Table, columns: Mapping[str, str], findings: Findings) -> tuple[Example, ...]:
        """Returns all rows as examples. A column without any label counts as absent, as in a test set whose labels were
        removed."""
        column = columns.get("labels", "")
        if column in table.columns and not any(table.column(column)):
            columns = {part: name for part, name in columns.items() if part != "labels"}
        return super().examples(table, columns, findings)

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        column, found = columns.get("labels"), None
        if column is not None and _is_joined(column, tuple(record)):
            cells = {name: _flag(record.get(name)) for name in column.split("+")}
            if None not in cells.values():
                found = [name for name, cell in cells.items() if cell]
            elif set(cells.values()) != {None}:
                findings.add("rows in which only some labels are 0 or 1 (left out)", key)
        elif column is not None and self.separator == _PLACES:
            cells = dict(zip(self.labels, map(_flag, held_in(record.get(column)) or ())))
            found = [name for name, cell in cells.items() if cell] if cells and None not in cells.values() else None
            findings.add("rows that say 0 or 1 of each label in turn (a task file's labels name them)", key)
        elif column is not None:
            found = _written_labels(record.get(column), self.separator)
            if found == [] and record.get(column) == "":
                findings.add("rows with an empty cell, read as none of the labels", key)
        label = None if found is None else tuple(sorted(set(found)))
        return Example(key, (str(record.get(columns["text"]) or ""),), label)

    def settled(self, examples: Sequence[Example]) -> MultiLabel:
        names = (name for example in examples for name in example.label or ())
        return replace(self, labels=self.labels or label_names(names, len(examples)))

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Returns the most frequent labels, as many as make micro F1 highest."""
        rows = [example.label for example in train or examples if example.label is not None]
        counts = Counter(name for row in rows for name in row)
        order = sorted(self.labels, key=lambda name: -counts[name])
        hits = [sum(counts[name] for name in order[: k + 1]) for k in range(len(order))]
        worth = [2 * found / ((k + 1) * len(rows) + counts.total()) for k, found in enumerate(hits)]
        guess = tuple(sorted(order[: worth.index(max(worth)) + 1]))
        shown = ", ".join(f"'{name}'" for name in guess[:3]) + (", ..." if len(guess) > 3 else "")
        of = "" if train else " of these rows"
        return Baseline(f"always {shown}, the most frequent labels{of}", (guess,) * len(examples))

    def target_text(self, label: Any) -> str:
        """Returns the labels with a comma between them (another sign where a label holds one), `-` for none."""
        return f"{self._between} ".join(label) or _NONE_WRITTEN

    def read_answer(self, written: str) -> Any:
        if written.strip() == _NONE_WRITTEN:
            return ()
        names = {part.strip() for part in written.split(self._between)}
        return tuple(sorted(name if name in self.labels else NO_CLASS for name in names))

    def counted(self, label: Any) -> list[tuple[str, Any]]:
        return [(name, None) for name in label]

    def as_written(self, prediction: Any) -> Any:
        """Returns the labels separated as in the training rows, else as a list."""
        if self.separator == _PLACES:
            return [int(name in prediction) for name in self.labels]
        if self.separator is None or self.separator == "[":
            return list(prediction)
        return self.separator.join(prediction)

    def is_answer(self, prediction: Any) -> bool:
        return set(prediction) <= set(self.labels)

    @property
    def _between(self) -> str:
        return next((mark for mark in ",;|" if not any(mark in name for name in self.labels)), "\t")


def _is_joined(column: str, names: Sequence[str]) -> bool:
    """Whether it stands for several columns."""
    return "+" in column and column not in names


def _number_of_places(values: Sequence[Any]) -> int:
    """How many labels there are where each row says of every label, in turn, 0 or 1; 0 where rows say something else.

    >>> _number_of_places([[0, 1, 0], "[1, 0, 0]"]), _number_of_places([["a"], ["a", "b"]])
    (3, 0)
    """
    lists = [held_in(value) for value in values if value is not None]
    widths = {len(one) if isinstance(one, (list, tuple)) else 0 for one in lists}
    if len(widths) != 1 or max(widths) < 2 or any(_flag(cell) is None for one in lists for cell in one):
        return 0
    return max(widths)


def _flag(value: Any) -> bool | None:
    """Whether a label is given; None if the cell does not say.

    >>> _flag("1"), _flag(0), _flag(True), _flag("-1")
    (True, False, True, None)
    """
    written = str(value).strip().lower()
    return FLAGS.index(written) % 2 == 1 if written in FLAGS else None


def _written_labels(value: Any, separator: str | None) -> list[str] | None:
    """The labels in a cell; None if it holds nothing, not even an empty text.

    >>> _written_labels("a| b", "|"), _written_labels("['a', 'b']", "["), _written_labels("", ",")
    (['a', 'b'], ['a', 'b'], [])
    """
    value = held_in(value)
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        inner = str(value).strip()
        if separator == "[":
            inner = inner[1:-1]
        parts = inner.split("," if separator == "[" else separator) if separator else [inner]
        value = [one.strip(" '\"") for one in parts]
    return [name for one in value if (name := class_label(one)) is not None]
