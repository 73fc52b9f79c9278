"""Prefix: everything before a split; the other side of `suffix`.

Source: the mirror image of `suffix`: T5's `random_prefix_noise_mask` (1910.10683 Section 3.3.1) counts this
side as noise.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.pretext.selections._one_side import OneSide
from afterbert.pretext.units import Units


@dataclass(frozen=True)
class Prefix(OneSide):
    """
    >>> from afterbert.base.noise import Noise
    >>> from afterbert.base.rows import Rows
    >>> Prefix(rate=0.5)(Rows.of("[CLS] a b c d [SEP]"), Noise(0)).positions.tolist()
    [1, 2]
    """

    def _first(self, units: Units, counts: np.ndarray) -> np.ndarray:
        return units.row_starts[:-1]
