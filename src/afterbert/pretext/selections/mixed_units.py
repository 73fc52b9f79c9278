"""Mixed units: each draw takes a unit of one kind or another, until the budget of pieces is spent.

Source: SpanBERT (1907.10529) Section 6.1, the arms "named entities" and "noun phrases": half of the draws
are entities (phrases), half are whole words. What a draw would overshoot, or finds taken, it skips.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows
from afterbert.pretext.draws import shuffled
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._queues import served, topped_up
from afterbert.pretext.selections._spans import Rated, budgets_of
from afterbert.pretext.units import Units, ordinary_counts, units_of


@dataclass(frozen=True)
class MixedUnits(Rated):
    """Chooses units of several kinds."""

    units: tuple[str, ...] = ("entity", "word")
    """The kinds; the last one (such as word) covers the whole text, and the others grow to whole units of it."""
    shares: tuple[float, ...] = (0.5, 0.5)
    """The shares of the draws, in any scale. When a kind is used up, the others go on."""
    rate: Rate = 0.15

    promise = "at_most"

    def __post_init__(self) -> None:
        if len(self.units) != len(self.shares) or not self.units or min(self.shares) <= 0:
            raise UserError(f"units {self.units} and shares {self.shares} do not match; give each unit a share above 0")

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        base = units_of(rows, self.units[-1])
        if (base.sizes < ordinary_counts(rows)).any():
            raise UserError(f"units {self.units} end with {self.units[-1]}, which leaves text uncovered; end with word")
        budgets = budgets_of(self, rows, base)
        drawn = [self._queue(number, base, rows, noise) for number in range(len(self.units))]
        starts, lengths, times = (np.concatenate(grids, axis=1) for grids in zip(*drawn))
        order = np.argsort(times, axis=1, kind="stable")
        starts, lengths = (np.take_along_axis(grid, order, axis=1) for grid in (starts, lengths))
        return topped_up(base, rows, noise.of("rest"), served(base, starts, lengths, budgets, shortens=False))

    def _queue(self, number: int, base: Units, rows: Rows, noise: Noise) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One kind's units in random order [B, W], as runs of base units, and when each arrives. Arrivals at random
        intervals of mean 1 / share mix the kinds as a coin of those shares thrown at every draw would."""
        units = units_of(rows, self.units[number])
        noise = noise.of(f"kind{number}")
        order = shuffled(noise, rows.keys, units.counts)
        is_there = np.arange(order.shape[1]) < units.counts[:, None]
        first = np.searchsorted(base.starts, units.starts, side="right") - 1
        end = np.searchsorted(base.starts, units.starts + units.lengths, side="left")
        picked = np.where(is_there, order + units.row_starts[:-1, None], 0)
        starts, ends = (values[picked] if len(values) else picked for values in (first, end))
        waits = -np.log1p(-noise.of("waits").uniform(rows.keys[:, None], np.arange(order.shape[1])[None, :]))
        times = np.cumsum(waits / self.shares[number], axis=1)
        return starts, np.where(is_there, ends - starts, 0), np.where(is_there, times, np.inf)
