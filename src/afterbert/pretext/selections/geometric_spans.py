"""Geometric spans: runs of whole words, their length geometric and clipped, until the budget of pieces is spent.

Source: SpanBERT (1907.10529) Section 3.1; facebookresearch/SpanBERT `pretraining/`: p = 0.2, renormalised over 1 to 10
words; an anchor drawn among the pieces not yet chosen is widened to its word, then words are added to the right; the
last span ends where the budget does, inside a word if need be. Drawing anchors anew until one is free equals walking
through the pieces in random order and skipping those that are taken, which is what happens here, for all rows at once.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.pretext.draws import drawn, shuffled
from afterbert.pretext.selections import Chosen, Selection
from afterbert.pretext.selections._queues import first_come
from afterbert.pretext.selections._spans import Rounding, budgets_of, share, spanned
from afterbert.pretext.units import Units, units_of


@dataclass(frozen=True)
class GeometricSpans(Selection):
    """`start`: anchors are drawn among the pieces (the release; long words start more spans) or among the
    units (the paper's wording). `touching`: spans that touch are one span afterwards (the release) or keep
    their borders. `rounding`: the release rounds the budget up.

    >>> GeometricSpans(rate=0.5, longest=1)(Rows.of("[CLS] a b c d [SEP]"), Noise(0)).positions.size
    2
    """

    unit: str = "word"
    rate: Rate = 0.15
    probability: Rate = 0.2
    longest: Annotated[int, Field(ge=1)] = 10
    start: Literal["piece", "unit"] = "piece"
    touching: Literal["merge", "keep"] = "merge"
    rounding: Rounding = "nearest"

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        return share(self.rate, sizes, self.rounding)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        budgets = budgets_of(self, rows, units)
        width, reached = int(budgets.max(initial=0)) // 2 + 8, False
        while not reached:  # once, unless the rate is so high that most anchors fall on what is taken
            cover, num_runs, was_all = self._cover(units, rows, noise, width)
            spent = np.bincount(units.row_of, units.lengths * (cover < num_runs), minlength=len(rows))
            reached = was_all or bool((spent >= budgets).all())
            width *= 3
        return self._cut(units, rows, cover, num_runs, budgets)

    def _cover(self, units: Units, rows: Rows, noise: Noise, width: int) -> tuple[np.ndarray, int, bool]:
        """For each unit the first span over it (int64 [U], in order of arrival), of how many, and whether every
        possible anchor was tried."""
        sizes = units.sizes if self.start == "piece" else units.counts
        anchors = shuffled(noise, rows.keys, sizes, first=width)
        lengths = 1 + drawn(noise.of("lengths").words(rows.keys, anchors.shape[1]), self._weights())
        there = (np.arange(anchors.shape[1]) < sizes[:, None]).T
        start = (anchors + starts_of(sizes)[:-1, None]).T[there]  # column by column: in order of arrival
        if self.start == "piece":
            start = np.repeat(np.arange(len(units.starts)), units.lengths)[start]
        length = np.minimum(lengths.T[there], units.run_ends[start] - start)
        _, cover = first_come(start, length, start, len(units.starts))
        return cover, len(start), width >= sizes.max(initial=0)

    def _weights(self) -> np.ndarray:
        return self.probability * (1 - self.probability) ** np.arange(self.longest)

    def _cut(self, units: Units, rows: Rows, cover: np.ndarray, num_runs: int, budgets: np.ndarray) -> Chosen:
        """The covered units in order of arrival, up to the budget's last piece."""
        index = np.flatnonzero(cover < num_runs)
        in_order = np.sort((units.row_of[index] * (num_runs + 1) + cover[index]) * len(cover) + index)
        index = in_order % max(1, len(cover))
        before = starts_of(units.lengths[index])
        row_of = units.row_of[index]
        row_begins = before[np.searchsorted(row_of, row_of)]
        pieces = np.clip(budgets[row_of] - (before[:-1] - row_begins), 0, units.lengths[index])
        number = np.full(rows.num_pieces, -1)
        number[ranges(units.starts[index], pieces)] = np.repeat(cover[index], pieces)
        positions = np.flatnonzero(number >= 0)
        borders = None if self.touching == "merge" else np.diff(number[positions], prepend=-1) != 0
        return spanned(positions, borders, rows)
