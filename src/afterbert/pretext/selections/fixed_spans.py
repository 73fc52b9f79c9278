"""Fixed spans: every span has the same number of units, the last what is left of the budget; strewn evenly, no overlap.

Source: none of the papers fixes lengths exactly; this is the control for laws that draw them (T5's arms of mean 2, 3,
5, 10 are `t5_partition`).
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._spans import RatedUnits, cut_last, strewn
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class FixedSpans(RatedUnits):
    """Chooses spans of a fixed length.

    >>> FixedSpans(rate=0.5, length=3)(Rows.of("[CLS] a b c d e f [SEP]"), Noise(0)).spans.tolist()
    [0, 0, 0]
    """

    unit: str = "piece"
    rate: Rate = 0.15
    length: Annotated[int, Field(ge=1)] = 3
    """How many units a span holds. The budget counts units: exact for pieces, and for words so many words."""

    def most_spans(self, size: int) -> int:
        return -(-int(self.budget(np.array([size]))[0]) // self.length) if self.unit == "piece" else size

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        budgets = self.budget(units.counts)
        widest = -(-int(budgets.max(initial=0)) // self.length)
        lengths, counts = cut_last(np.full((len(rows), widest), self.length), budgets, rows, noise)
        return strewn(units, rows, noise, lengths, counts)
