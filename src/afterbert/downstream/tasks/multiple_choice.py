"""A prompt and several endings or answers, one of them right (SWAG, COPA, ARC)."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.accuracy import Accuracy
from afterbert.downstream.reading.cells import held_in
from afterbert.downstream.reading.columns import Held
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks._classes import class_label, read_place

_CHOICE_STEMS = ("ending", "choice", "option", "sol", "answer", "")


@dataclass(frozen=True)
class MultipleChoice(Task):
    """texts: the prompt, then its choices. label and prediction: the number of the right choice, from 0.

    The right choice may be written as a number, a letter or the choice itself.
    """

    parts: ClassVar[tuple[str, ...]] = ("prompt", "choices", "right")
    label_part: ClassVar[str | None] = "right"
    answer: ClassVar[str] = "choice"
    usual_head: ClassVar[str | None] = "candidates"
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "prompt": ("prompt", "ctx", "question", "premise", "sent1", "goal", "context", "stem", "sentence"),
        "choices": ("choices", "options", "endings"),
        "right": (
            "right",
            "answer_idx",
            "answer_index",
            "correct_answer",
            "answerkey",
            "label",
            "answer",
            "gold",
            "correct",
        ),
    }
    precedence: ClassVar[int] = 4
    text_names: ClassVar[tuple[str, ...]] = ("prompt",)

    metrics: tuple[Metric, ...] = (Accuracy(),)
    counts_from: Annotated[int, Field(ge=0, le=1)] | None = None
    """The number of the first choice; left out: 0 if any row of the first file read (training) says 0, else 1."""

    def informed(self, table: Table, columns: Mapping[str, str]) -> MultipleChoice:
        """Returns the task with the number from which this data counts, if it counts."""
        if self.counts_from is not None:
            return self
        found = super().examples(table, columns, Findings())
        numbers = {example.label for example in found if isinstance(example.label, str)}
        return replace(self, counts_from=0 if "0" in numbers else 1) if numbers else self

    def examples(self, table: Table, columns: Mapping[str, str], findings: Findings) -> tuple[Example, ...]:
        found = super().examples(table, columns, findings)
        first = self.informed(table, columns).counts_from or 0
        return tuple(_settled_label(example, first, findings) for example in found)

    def find(self, part: str, columns: Sequence[str]) -> str | None:
        """Returns the column by its name; choices may also be one column each, a stem followed by a number or letter:
        `ending0`, `option_a`."""
        found = super().find(part, columns)
        if found is not None or part != "choices":
            return found
        lowered = {column.lower(): column for column in columns}
        for stem in _CHOICE_STEMS:
            rest = {
                name.removeprefix(stem).lstrip("_ "): column
                for name, column in lowered.items()
                if name.startswith(stem)
            }
            ends = [end for end in rest if end.isdecimal() or (len(end) == 1 and end.isalpha())]
            ends.sort(key=lambda end: (len(end), end))  # 2 before 10
            if len(ends) > 1 and (stem or ends[0] == "a"):  # single letters alone begin with the first
                return "+".join(rest[end] for end in ends)
        return None

    def offer(self, held: Held) -> dict[str, str]:
        """Takes the first text and the classes. Choices cannot be recognised by what they hold."""
        return dict(zip(("prompt", "right"), [*held.texts[:1], *held.label]))

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        """Returns prompt and choices; the label is a number from 0, or still a text of digits where the whole file must
        be seen."""
        choices, names = _choices(record, columns["choices"])
        texts = (str(record.get(columns["prompt"]) or ""), *choices)
        right = class_label(record.get(columns["right"])) if "right" in columns else None
        if right is None:
            return Example(key, texts, None)
        plain = unicodedata.normalize("NFKC", right).upper()  # of a circled number, or a small letter
        if plain.isdecimal():
            return Example(key, texts, names.index(right) if right in names else plain)
        letters = [chr(ord("A") + i) for i in range(len(choices))]
        for said, known in ((right, names), (right, list(choices)), (plain, letters)):
            if said in known:
                return Example(key, texts, known.index(said))
        findings.add("right answers that are none of the choices (left out)", key)
        return Example(key, texts, None)

    def has_text(self, example: Example) -> bool:
        """Returns whether there is something to choose from."""
        return super().has_text(example) and len(example.texts) > 1

    def is_usable(self, example: Example) -> bool:
        return super().is_usable(example) and len(example.texts) > 2

    def settled(self, examples: Sequence[Example]) -> MultipleChoice:
        if not any(self.is_usable(example) for example in examples):
            raise UserError(
                f"of {len(examples):,} training rows none has two choices and a right one; name the columns, "
                "several choices joined by +, as choices=a+b+c"
            )
        return replace(self)

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        counts = Counter(example.label for example in train or examples if example.label is not None)
        best = max(sorted(counts), key=lambda place: counts[place]) if counts else 0
        guesses = tuple(min(best, len(example.texts) - 2) for example in examples)
        of = "" if train else " in these rows"
        return Baseline(f"always choice {best + 1}, right most often{of}", guesses)

    def target_text(self, label: Any) -> str:
        return str(label + 1)

    def read_answer(self, written: str) -> Any:
        """Returns the choice with that number; a tokenizer may return its digits with spaces between them."""
        return read_place("".join(written.split()))

    def as_written(self, prediction: Any) -> Any:
        """Returns the number of the choice, counted as this data counts."""
        return prediction + (self.counts_from or 0)

    def is_answer(self, prediction: Any) -> bool:
        """Returns whether the prediction is a place; whether there is such a choice depends on the row."""
        return prediction >= 0

    def source_text(self, example: Example, prefix: str) -> str:
        choices = " ".join(f"choice{i}: {text}" for i, text in enumerate(example.texts[1:], 1))
        return f"{prefix} prompt: {example.texts[0]} {choices}".strip()


def _choices(record: Mapping[str, Any], column: str) -> tuple[tuple[str, ...], list[str]]:
    """The choices and, where the file gives them, their names: a list, the hub's {text, label}, or one column
    a choice."""
    value = held_in(record.get(column))
    if isinstance(value, Mapping):
        texts, names = value.get("text"), value.get("label", ())
        if not isinstance(texts, (list, tuple)) or not isinstance(names, (list, tuple)):
            return (), []
        return tuple(map(str, texts)), [str(name) for name in names]
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(one, Mapping) for one in value):
            texts = tuple(str(one["text"]) for one in value if "text" in one)
            return texts if len(texts) == len(value) else (), [str(one.get("label", "")) for one in value]
        return tuple(map(str, value)), []
    cells = (record.get(name) for name in column.split("+"))
    return tuple(str(cell) for cell in cells if cell is not None and str(cell).strip()), []


def _settled_label(example: Example, first: int, findings: Findings) -> Example:
    if not isinstance(example.label, str):
        return example
    place = int(example.label) - first
    if 0 <= place < len(example.texts) - 1:
        return replace(example, label=place)
    findings.add("right answers that are none of the choices (left out)", example.key)
    return replace(example, label=None)
