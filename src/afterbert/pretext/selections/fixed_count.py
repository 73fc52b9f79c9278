"""Fixed count: a row gives up exactly its share of pieces, or as many whole units as fit into it.

Source: BERT (1810.04805), create_pretraining_data.py: `max(1, round(rate * n))` pieces; whole words (release
note of May 2019): take shuffled words whole, skip one that would overshoot. Deviation: n counts ordinary
pieces only, the release counts [CLS] and [SEP] too.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows
from afterbert.pretext.draws import subset
from afterbert.pretext.selections import Chosen, Promise
from afterbert.pretext.selections._queues import filled
from afterbert.pretext.selections._spans import Rated, budgets_of, collected
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class FixedCount(Rated):
    """`unit`: piece, word, sentence, phrase, entity, or alternatives such as `phrase|word`; a unit is a span.

    >>> rows = Rows.of("[CLS] un ##believ ##able ! [SEP]")
    >>> FixedCount(rate=1.0)(rows, Noise(0)).positions.tolist()
    [1, 2, 3, 4]
    >>> FixedCount(unit="word", rate=0.5)(rows, Noise(0)).positions.tolist()  # the long word is more than half
    [4]
    """

    unit: str = "piece"
    rate: Rate = 0.15

    @property
    def promise(self) -> Promise:
        return "exact" if self.unit == "piece" else "at_most"

    @property
    def is_flat(self) -> bool:
        return self.unit == "piece"  # towards the end of the budget only short units still fit

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        if self.unit == "piece":
            counts = self.budget(units.counts)
            index = subset(noise, rows.keys, units.counts, counts, units.row_starts[:-1])
            return Chosen(units.starts[index], np.arange(len(index)))
        return collected(units, filled(units, rows.keys, noise, budgets_of(self, rows, units)), rows)
