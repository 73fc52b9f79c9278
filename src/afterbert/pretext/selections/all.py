"""All: every ordinary piece. For tasks about the whole text: left-to-right language models (GPT-2, technical report
2019, Section 2), shuffling, rotation, sentence order."""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.pretext.selections import Chosen, Selection
from afterbert.pretext.selections._spans import collected
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class All(Selection):
    """`unit`: each unit is a span of its own.

    >>> All()(Rows.of("[CLS] a b [SEP]"), Noise(0)).positions.tolist()
    [1, 2]
    """

    unit: str = "piece"

    is_flat = True

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        return np.asarray(sizes, dtype=np.int64)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        return collected(units, np.arange(len(units.starts)), rows)
