"""One fragment: a single run of neighbouring units, at a uniformly random place.

Source: MASS (1905.02450) Section 3.2, half of the sentence; BART (1910.13461) Section 4.1 repeats it as
"masked seq2seq", one span of 50%.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows, ranges
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._spans import RatedUnits, collected
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class OneFragment(RatedUnits):
    """The budget counts units: exact for pieces, for words so many words. Special pieces inside cut the fragment.

    >>> np.diff(OneFragment()(Rows.of("[CLS] a b c d e f [SEP]"), Noise(0)).positions).tolist()
    [1, 1]
    """

    unit: str = "piece"
    rate: Rate = 0.5

    def most_spans(self, size: int) -> int:
        return min(size, 1)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        counts = self.budget(units.counts)
        starts = noise.integers(units.counts - counts + 1, rows.keys) + units.row_starts[:-1]
        index = ranges(starts, counts)
        return collected(units, index, rows, np.zeros(len(index), dtype=bool))
