"""Poisson spans: span lengths from a Poisson law, zero included, until the budget is spent; strewn evenly,
never overlapping.

Source: BART (1910.13461) Section 2.2, text infilling, lambda 3; fairseq's denoising task draws lengths until
the budget is met and cuts the last. Deviation: fairseq places spans independently, so they may overlap and
fall short of the budget.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows
from afterbert.pretext.draws import drawn
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._spans import RatedUnits, cut_last, strewn
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class PoissonSpans(RatedUnits):
    """Chooses spans whose lengths follow a Poisson law.

    The budget counts units: exact for pieces, and for words so many words. A row never has more spans than chosen
    pieces (so it never grows): empty spans beyond that are dropped, which matters only in rows of a few pieces.

    >>> chosen = PoissonSpans(rate=0.5, shortest=1)(Rows.of("[CLS] a b c d e f [SEP]"), Noise(0))
    >>> len(chosen.positions), len(chosen.gaps)
    (3, 0)
    """

    unit: str = "piece"
    rate: Rate = 0.3
    mean: Annotated[float, Field(gt=0, le=50)] = 3.0
    """Lambda, in units."""
    shortest: Annotated[int, Field(ge=0, le=1)] = 0
    """The shortest span; 1 draws zeros anew."""

    @property
    def has_gaps(self) -> bool:
        return self.shortest == 0

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        budgets = self.budget(units.counts)
        weights = self._weights()
        width, reached = int(budgets.max(initial=0) / self.mean * 1.5) + 8, False
        while not reached:
            lengths = drawn(noise.of("lengths").words(rows.keys, width), weights) + self.shortest
            reached = bool((lengths.sum(axis=1) >= budgets).all())
            width *= 2
        drawn_lengths, counts = cut_last(lengths, budgets, rows, noise)
        return strewn(units, rows, noise, drawn_lengths, counts)

    def _weights(self) -> np.ndarray:
        """P(shortest), P(shortest + 1), ... as far as they exceed 1e-7 (fairseq's limit)."""
        lengths = np.arange(self.shortest, 200)
        logs = lengths * np.log(self.mean) - self.mean - np.cumsum(np.log(np.maximum(np.arange(200), 1)))[lengths]
        weights = np.exp(logs)
        return weights[: np.flatnonzero(weights > 1e-7)[-1] + 1]
