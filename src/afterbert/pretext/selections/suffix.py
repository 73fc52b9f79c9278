"""Suffix: everything after a split; the other side of `prefix`.

Source: T5 (1910.10683) Section 3.3.1, prefix language modelling, split uniform in [1, n - 1]
(`random_prefix_noise_mask`, told from the other side there); BART's multitask arm splits in the middle
(1910.13461 Section 4.1).
"""

from dataclasses import dataclass

import numpy as np

from afterbert.pretext.selections._one_side import OneSide
from afterbert.pretext.units import Units


@dataclass(frozen=True)
class Suffix(OneSide):
    """
    >>> from afterbert.base.noise import Noise
    >>> from afterbert.base.rows import Rows
    >>> Suffix(rate=0.5)(Rows.of("[CLS] a b c d [SEP]"), Noise(0)).positions.tolist()
    [3, 4]
    """

    def _first(self, units: Units, counts: np.ndarray) -> np.ndarray:
        return units.row_starts[1:] - counts
