"""Prefix: everything before a split; the other side of `suffix`.

Source: the mirror image of `suffix`: T5's `random_prefix_noise_mask` (1910.10683 Section 3.3.1) counts this
side as noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, ranges
from afterbert.pretext.selections import Chosen, Promise, Rate, Selection
from afterbert.pretext.selections._spans import collected, split_counts
from afterbert.pretext.share import share
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class Prefix(Selection):
    """rate: the chosen side's share of the units; None draws the split evenly. Both sides keep at least one
    unit.

    >>> Prefix(rate=0.5)(Rows.of("[CLS] a b c d [SEP]"), Noise(0)).positions.tolist()
    [1, 2]
    """

    unit: str = "piece"
    rate: Rate | None = None

    @property
    def promise(self) -> Promise:
        return "expected" if self.rate is None else "exact"

    @property
    def counts_pieces(self) -> bool:
        return self.unit == "piece"

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        sizes = np.asarray(sizes)
        if self.rate is None:
            return np.where(sizes > 1, sizes / 2, 0.0)
        return np.minimum(share(self.rate, sizes), np.maximum(sizes - 1, 0))

    def most_spans(self, size: int) -> int:
        return min(size, 1)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        counts = split_counts(units.counts, self.rate, rows.keys, noise)
        index = ranges(units.row_starts[:-1], counts)
        return collected(units, index, rows, np.zeros(len(index), dtype=bool))
