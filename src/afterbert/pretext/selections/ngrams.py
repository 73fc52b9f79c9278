"""N-grams: runs of one to a few whole words, drawn until the budget of pieces is spent.

Source: ALBERT (1909.11942) Section 4.1, up to trigrams with p(n) ~ 1/n, and its release's create_pretraining_data.py:
shuffled words, each with its drawn n; an n-gram that meets a chosen word is skipped, one that overshoots is shortened.
UniLM (1905.03197 Section 2.4): weights 0.8, 0.1, 0.1. Deviation: after the shortened one the rest of the budget goes to
single words; the release goes on drawing n-grams, nearly all of which it shortens to one.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows
from afterbert.pretext.draws import drawn, shuffled
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._queues import served, topped_up
from afterbert.pretext.selections._spans import Rated, budgets_of
from afterbert.pretext.units import units_of


@dataclass(frozen=True)
class Ngrams(Rated):
    """Chooses runs of one or more units.

    >>> Ngrams(rate=1.0, weights=(0, 1))(Rows.of("[CLS] a b c d [SEP]"), Noise(3)).positions.tolist()
    [1, 2, 3, 4]
    """

    unit: str = "word"
    rate: Rate = 0.15
    weights: tuple[float, ...] = (6, 3, 2)
    """The weights of runs of 1, 2, 3, ... units, in any scale; a run ends early at a special piece."""

    promise = "at_most"

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise UserError(f"weights {self.weights} draw no n-gram; give one number of 0 or more for each n from 1 up")

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        units = units_of(rows, self.unit)
        budgets = budgets_of(self, rows, units)
        widest, width = int(units.counts.max(initial=0)), int(budgets.max(initial=0)) // 2 + 8
        while True:  # once, unless the rate is so high that most n-grams meet chosen words
            order = shuffled(noise, rows.keys, units.counts, first=width)
            lengths = 1 + drawn(noise.of("lengths").words(rows.keys, order.shape[1]), self.weights)
            is_there = np.arange(order.shape[1]) < units.counts[:, None]
            starts = np.where(is_there, order + units.row_starts[:-1, None], 0)
            ends = units.run_ends[starts] if len(units.starts) else starts
            lengths = np.where(is_there, np.minimum(lengths, ends - starts), 0)
            got = served(units, starts, lengths, budgets, shortens=True)
            if width >= widest or not got.ran_out.any():
                return topped_up(units, rows, noise.of("rest"), got)
            width *= 3
