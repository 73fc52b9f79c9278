"""A text for a text: summary, translation, any pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from afterbert.base.errors import UserError
from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.answer_f1 import AnswerF1
from afterbert.downstream.metrics.chrf import ChrF
from afterbert.downstream.metrics.exact_match import ExactMatch
from afterbert.downstream.metrics.rouge import Rouge
from afterbert.downstream.reading.columns import Held
from afterbert.downstream.reading.t5_records import form_among, form_of, read_as_t5
from afterbert.downstream.tasks import Task


@dataclass(frozen=True)
class TextToText(Task):
    """The source is the only one of `texts`, the label a tuple of one or more target texts, the prediction a text. A
    cell that is a list of texts is joined by spaces as a source, and as a target gives several texts, of which the best
    counts; so do several columns of targets, and outside training several rows of one source.

    metrics, left out: ROUGE where targets are less than half as long as sources, else chrF.
    """

    parts: ClassVar[tuple[str, ...]] = ("source", "target")
    label_part: ClassVar[str | None] = "target"
    answer: ClassVar[str] = "text"
    usual_head: ClassVar[str | None] = "text"
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "source": ("source", "src", "input", "document", "article", "dialogue"),
        "target": ("target", "tgt", "output", "summary", "highlights", "translation"),
    }
    precedence: ClassVar[int] = 2
    is_told_by_values: ClassVar[bool] = True
    text_names: ClassVar[tuple[str, ...]] = ("source",)

    metrics: tuple[Metric, ...] = ()

    def find(self, part: str, columns: Sequence[str]) -> str | None:
        """Returns the column by its name; for data sets that T5 writes in its own way, all columns that it reads."""
        found, form = super().find(part, columns), form_among(columns)
        if found is not None or form is None:
            return found
        return form.source if part == "source" else form.label

    def informed(self, table: Table, columns: Mapping[str, str]) -> TextToText:
        if self.metrics or form_of(columns["source"]) is None:
            return self
        return replace(self, metrics=(ExactMatch(), AnswerF1()))

    def offer(self, held: Held) -> dict[str, str]:
        return dict(zip(self.parts, held.running)) if len(held.running) == 2 else {}

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        """Returns source and targets; empty targets count as none."""
        form = form_of(columns["source"])
        if form is not None:
            return Example(key, (read_as_t5(form, record),), form.written(record) or None)
        source = record.get(columns["source"])
        column = columns.get("target", "")
        joined = [record.get(name) for name in column.split("+")] if column not in record else record[column]
        target = joined if "target" in columns else None
        text = " ".join(map(str, source)) if isinstance(source, (list, tuple)) else str(source or "")
        target = target if isinstance(target, (list, tuple)) else [target]
        targets = tuple(str(one) for one in target if one is not None)
        return Example(key, (text,), tuple(one for one in targets if one.strip()) or None)

    def finished(self, examples: Sequence[Example], findings: Findings, *, is_scored: bool) -> tuple[Example, ...]:
        """Returns the examples as they are scored: one item for each source, with the targets of all its rows."""
        if not is_scored:
            return tuple(examples)
        found: dict[tuple[str, ...], Example] = {}
        for example in examples:
            first = found.setdefault(example.texts, example)
            if first is not example:
                findings.add("rows that give one more target for a source, joined with its first", example.key)
                both = (*(first.label or ()), *(example.label or ()))
                found[example.texts] = replace(first, label=tuple(dict.fromkeys(both)) or None)
        return tuple(found.values())

    def settled(self, examples: Sequence[Example]) -> TextToText:
        """Metrics by the lengths of sources and targets. Raises UserError if no row has a target."""
        labelled = [example for example in examples if self.is_usable(example)]
        if not labelled:
            raise UserError(f"of {len(examples):,} training rows none has a target text; name its column")
        rouge = (Rouge("1"), Rouge("2"), Rouge("L"))
        is_shorter = 2 * _mean_target(labelled) < np.mean([len(e.texts[0]) for e in labelled])
        return replace(self, metrics=self.metrics or ((*rouge, ChrF()) if is_shorter else (ChrF(), *rouge)))

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Returns the beginning of the source, as long as the mean target of `train` (all of it without `train`)."""
        labelled = [example for example in train if example.label is not None]
        size = round(_mean_target(labelled)) if labelled else None
        return Baseline(
            "the beginning of the source, as long as a target",
            tuple(_beginning(example.texts[0], size) for example in examples),
        )

    def target_text(self, label: Any) -> str:
        return label[0]

    def read_answer(self, written: str) -> Any:
        return written.strip()

    def source_text(self, example: Example, prefix: str) -> str:
        return f"{prefix}: {example.texts[0]}" if prefix else example.texts[0]


def _mean_target(examples: Sequence[Example]) -> float:
    return float(np.mean([np.mean([len(text) for text in example.label]) for example in examples]))


def _beginning(text: str, size: int | None) -> str:
    """The first `size` characters, and the rest of the word that they end in.

    >>> _beginning("one two three", 5)
    'one two'
    """
    if size is None or size >= len(text):
        return text
    end = text.find(" ", size)
    return text[: end if 0 <= end < size + 30 else size].strip()
