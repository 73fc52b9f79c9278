"""Fixed count: a row gives up exactly its share of pieces, or as many whole units as fit into it.

Source: BERT (1810.04805), create_pretraining_data.py: `max(1, round(rate * n))` pieces; whole words (release
note of May 2019): take shuffled words whole, skip one that would overshoot. Deviation: n counts ordinary
pieces only, the release counts [CLS] and [SEP] too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.pretext.draws import shuffled, subset
from afterbert.pretext.selections import Chosen, Promise, Selection
from afterbert.pretext.share import share
from afterbert.pretext.units import Units, ordinary_counts, units_of


@dataclass(frozen=True)
class FixedCount(Selection):
    """`unit`: piece, word, sentence, phrase, entity, or alternatives such as `phrase|word`.

    >>> rows = Rows.of("[CLS] un ##believ ##able ! [SEP]")
    >>> FixedCount(rate=1.0)(rows, Noise(0)).positions.tolist()
    [1, 2, 3, 4]
    >>> FixedCount(unit="word", rate=0.5)(rows, Noise(0)).positions.tolist()   # "un ##believ ##able" is more than half
    [4]


    """

    unit: str = "piece"
    rate: Annotated[float, Field(gt=0, le=1)] = 0.15

    @property
    def promise(self) -> Promise:
        return "exact" if self.unit == "piece" else "at_most"

    @property
    def is_flat(self) -> bool:
        return self.unit == "piece"  # towards the end of the budget only short units still fit

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        return share(self.rate, sizes)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        if self.unit == "piece":
            counts = self.budget(units.counts)
            index = subset(noise, rows.keys, units.counts, counts, units.row_starts[:-1])
            return Chosen(units.starts[index], np.arange(len(index)))
        index = _whole(noise, rows, units, self.budget(ordinary_counts(rows)))
        return Chosen(units.pieces(index), np.repeat(np.arange(len(index)), units.lengths[index]))


def _whole(noise: Noise, rows: Rows, units: Units, budgets: np.ndarray) -> np.ndarray:
    """int64, sorted: the units that a walk through each row's shuffled units takes."""
    order = shuffled(noise, rows.keys, units.counts) + units.row_starts[:-1, None]
    is_there = np.arange(order.shape[1]) < units.counts[:, None]
    lengths = units.lengths[np.where(is_there, order, 0)] if len(units.starts) else np.zeros_like(order)
    return np.sort(order[walk(np.where(is_there, lengths, 0), budgets)])


def walk(lengths: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """bool [B, W]: what a walk along each line of `lengths` [B, W] takes that skips whatever no longer fits
    (and zeros).

    In rounds: a running sum takes everything up to the first item that overshoots; then whatever is larger
    than the rest of the budget can never fit again and drops out. Each round ends a line or shrinks its
    budget, so few are needed.

    >>> walk(np.array([[2, 3, 2, 1, 1]]), np.array([5])).tolist()
    [[True, True, False, False, False]]
    >>> walk(np.array([[2, 4, 2, 2, 1]]), np.array([5])).tolist()
    [[True, False, True, False, True]]

    """
    taken = np.zeros(lengths.shape, dtype=bool)
    lines, left, open_ = np.arange(len(lengths)), budgets.astype(np.int64), lengths.copy()
    while len(lines):
        open_[open_ > left[:, None]] = 0
        fits = (open_ > 0) & (np.cumsum(open_, axis=1) <= left[:, None])
        taken[lines] |= fits
        left = left - (open_ * fits).sum(axis=1)
        open_[fits] = 0
        goes_on = (left > 0) & (open_ > 0).any(axis=1)
        lines, left, open_ = lines[goes_on], left[goes_on], open_[goes_on]
    return taken
