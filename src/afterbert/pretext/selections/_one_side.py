"""What `prefix` and `suffix` share: a row is split in two, and one side is chosen."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows, ranges
from afterbert.pretext.selections import Chosen, Promise
from afterbert.pretext.selections._spans import RatedUnits, collected, share, split_counts
from afterbert.pretext.units import Units, units_of


@dataclass(frozen=True)
class OneSide(RatedUnits):
    """rate: the chosen side's share of the units; None draws the split evenly. Both sides keep at least one unit."""

    unit: str = "piece"
    rate: Rate | None = None

    @abstractmethod
    def _first(self, units: Units, counts: np.ndarray) -> np.ndarray:
        """int64 [B]: the first unit of the chosen side, `counts` [B] units long."""

    @property
    def promise(self) -> Promise:
        return "expected" if self.rate is None else "exact"

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        sizes = np.asarray(sizes)
        if self.rate is None:
            return np.where(sizes > 1, sizes / 2, 0.0)
        return np.minimum(share(self.rate, sizes), np.maximum(sizes - 1, 0))

    def likely_most(self, size: int) -> int:
        return max(0, size - 1) if self.rate is None else super().likely_most(size)

    def most_spans(self, size: int) -> int:
        return min(size, 1)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        counts = split_counts(units.counts, self.rate, rows.keys, noise)
        index = ranges(self._first(units, counts), counts)
        return collected(units, index, rows, np.zeros(len(index), dtype=bool))
