"""A number for a text or a pair of texts: similarity, grades, readability (STS-B)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.pearson import Pearson
from afterbert.downstream.metrics.spearman import Spearman
from afterbert.downstream.metrics.squared_error import SquaredError
from afterbert.downstream.reading.columns import (
    PAIRS,
    Held,
    first_named,
    is_decimal,
    is_missing,
    is_number,
    number_of,
    pair_named,
    profile,
)
from afterbert.downstream.tasks import Graded
from afterbert.downstream.tasks._classes import TEXT_NAMES

# A square of the difference of two must fit into a float of 32 bits.
_LARGEST = 1e15
_SCORE_NAMES = ("score", "similarity", "similarity_score", "relatedness_score")


@dataclass(frozen=True)
class Regression(Graded):
    """texts: one or two. label and prediction: a float."""

    parts: ClassVar[tuple[str, ...]] = ("first", "score")
    optional_parts: ClassVar[tuple[str, ...]] = ("second",)
    label_part: ClassVar[str | None] = "score"
    answer: ClassVar[str] = "number"
    usual_head: ClassVar[str | None] = "pooled"
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "first": tuple(first for first, _ in PAIRS),
        "second": tuple(second for _, second in PAIRS),
        "score": (*_SCORE_NAMES, "label", "rating", "stars"),
    }
    precedence: ClassVar[int] = 2
    is_told_by_values: ClassVar[bool] = True
    text_names: ClassVar[tuple[str, ...]] = ("sentence1", "sentence2")

    low: float | None = None
    """The lowest training label; heads may scale by it."""
    high: float | None = None
    """The highest training label."""
    step: Annotated[float, Field(gt=0)] = 0.2
    """The grid on which a text-to-text model writes numbers (T5, Section 2.4: 0.2)."""
    metrics: tuple[Metric, ...] = (Pearson(), Spearman(), SquaredError())

    def find(self, part: str, columns: Sequence[str]) -> str | None:
        """Returns the column of the score by its name, of two texts by a pair of names that belong together, of a
        single one by its own."""
        if part == "score":
            return super().find(part, columns)
        pair = pair_named(columns)
        if pair is not None:
            return pair[part == "second"]
        return first_named(TEXT_NAMES, columns) if part == "first" else None

    def fits(self, table: Table, columns: Mapping[str, str]) -> bool:
        """Grades; also few whole numbers, where the column is called a score."""
        values = table.column(columns["score"])
        if profile(values) == "number":
            return True
        is_score = columns["score"].lower() in _SCORE_NAMES
        return is_score and all(is_decimal(str(value)) for value in values if not is_missing(value))

    def offer(self, held: Held) -> dict[str, str]:
        """Returns one text or two (with more, none is chosen) and the one column of grades; whole numbers count where
        grades are asked for."""
        grades = held.numbers or (held.whole if held.is_asked else [])
        found = dict(zip(("first", "second"), held.texts)) if len(held.texts) < 3 else {}
        return found | ({"score": grades[0]} if len(grades) == 1 else {})

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        """Returns texts and number; anything that is no number counts as no label."""
        texts = tuple(str(record.get(columns[part]) or "") for part in ("first", "second") if part in columns)
        written = record.get(columns["score"]) if "score" in columns else None
        if is_missing(written):
            return Example(key, texts, None)
        if not is_decimal(str(written)):
            findings.add("scores that are no numbers", key)
            return Example(key, texts, None)
        if not is_number(str(written)):
            findings.add("scores with a comma before their fraction, read as with a point", key)
        return Example(key, texts, number_of(str(written)))

    def settled(self, examples: Sequence[Example]) -> Regression:
        if self.low is not None and self.high is not None:
            return self
        scores = [example.label for example in examples if example.label is not None]
        if len(set(scores)) < 2:
            raise UserError(
                f"{len(set(scores))} different scores in {len(examples):,} training rows, so there is nothing "
                "to learn; is the score column the right one?"
            )
        if max(map(abs, scores)) > _LARGEST:
            raise UserError(f"scores reach {max(scores, key=abs):g}, more than a model computes with; divide them all")
        low = min(scores) if self.low is None else self.low
        high = max(scores) if self.high is None else self.high
        return replace(self, low=low, high=high)

    def finished(self, examples: Sequence[Example], findings: Findings, *, is_scored: bool) -> tuple[Example, ...]:
        """Leaves the rows as they are, and notes a spreadsheet's last row of sums."""
        *others, last = [Example("", (), 0.0), *(example for example in examples if example.label is not None)]
        above = [example.label for example in others]
        if last.label > max(above, default=last.label) and isclose(last.label, sum(above), rel_tol=1e-4):
            findings.add("scores that are the sum of all above, as a last row of totals has it", last.key)
        return tuple(examples)

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Returns the mean, whose correlation is 0 by definition."""
        scores = [example.label for example in train or examples if example.label is not None]
        mean = float(np.mean(scores)) if scores else 0.0
        of = "" if train else " of these rows"
        return Baseline(f"always {mean:.3g}, the mean{of}", (mean,) * len(examples))

    def target_text(self, label: Any) -> str:
        """Returns the number on the grid, with as many digits as the grid has, and at least one.

        >>> Regression().target_text(2.57), Regression(step=0.25).target_text(0.3)
        ('2.6', '0.25')
        """
        digits = max(1, len(f"{self.step:f}".rstrip("0").partition(".")[2]))
        return f"{round(float(label) / self.step) * self.step:.{digits}f}"

    def read_answer(self, written: str) -> Any:
        """Returns the number when it lies in the range. Any other text becomes a number below the range by a fifth of
        its width (at least a step of the grid), so that it is no row's truth: -1 for grades from 0 to 5, as T5's
        release reads it.

        >>> narrow = Regression(low=0.0, high=0.4)
        >>> narrow.is_answer(narrow.read_answer("no number")), Regression(low=0.0, high=5.0).read_answer("x")
        (False, -1.0)
        """
        # A tokenizer may give a number back with spaces in it.
        written = "".join(written.split())
        low, high = self.low or 0.0, self.high if self.high is not None else 0.0
        if is_number(written) and low - self.step / 2 <= float(written) <= high + self.step / 2:
            return float(written)
        return low - max((high - low) / 5, self.step)

    def is_answer(self, prediction: Any) -> bool:
        return prediction >= (self.low or 0.0) - self.step / 2
