"""Rare first: a row gives up exactly its share of pieces, and a rare piece is drawn sooner than a frequent one.

Source: XLM (1901.07291) Section 3.3: "subsample the frequent outputs", weights proportional to the square root of the
inverse frequency (word2vec's way); facebookresearch/XLM, `--sample_alpha`: pieces are drawn one after another without
replacement, with weights count^-power. Deviation: the draw is made row by row, the release makes it over a batch.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate, Share
from afterbert.base.rows import Rows
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._spans import Rated
from afterbert.pretext.units import needed_plane, units_of


@dataclass(frozen=True)
class RareFirst(Rated):
    """The plane `count` tells how often each piece occurs in the split.

    >>> rows = Rows.of("[CLS] the unlikely [SEP]").with_planes(count=np.array([0, 10**12, 1, 0]))
    >>> RareFirst(rate=0.5)(rows, Noise(0)).positions.tolist()
    [2]
    """

    rate: Rate = 0.15
    power: Share = 0.5

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, "piece")
        row, places = units.row_of, units.starts
        weights = np.maximum(needed_plane(rows, "count")[places], 1) ** -float(self.power)
        # whoever's exponential clock rings first (Efraimidis and Spirakis 2006): draws in turn without replacement
        clocks = -np.log1p(-noise.uniform(rows.keys[row], rows.position_in_row[places])) / weights
        order = np.lexsort((clocks, row))
        nth = np.arange(len(row)) - units.row_starts[:-1][row]
        index = np.sort(order[nth < self.budget(units.counts)[row]])
        return Chosen(places[index], np.arange(len(index)))
