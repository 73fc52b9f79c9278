"""Independent: every unit throws its own coin.

Source: T5's i.i.d. noise (1910.10683 Section 3.3.1), `iid_noise_mask`; transformers' masked-LM collator does
the same. Rows may come out with nothing chosen.
"""

import math
from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise, chance
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows
from afterbert.pretext.selections import Chosen, Selection
from afterbert.pretext.selections._spans import collected
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class Independent(Selection):
    """
    >>> Independent(rate=1.0, unit="word")(Rows.of("[CLS] un ##real [SEP]"), Noise(0)).spans.tolist()
    [0, 0]
    """

    unit: str = "piece"
    rate: Rate = 0.15

    promise = "expected"
    is_flat = True

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        return self.rate * np.asarray(sizes)

    def likely_most(self, size: int) -> int:
        if self.unit != "piece":
            return size
        deviation = (self.rate * (1 - self.rate) * size) ** 0.5
        return min(size, math.ceil(self.rate * size + 5 * deviation + 3))  # 3: where a binomial law is far from normal

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        coins = noise.words(rows.keys, int(units.counts.max(initial=0))) < chance(self.rate)
        is_there = np.arange(coins.shape[1]) < units.counts[:, None]
        return collected(units, np.flatnonzero(coins[is_there]), rows)
