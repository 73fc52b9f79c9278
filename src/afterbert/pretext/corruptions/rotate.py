"""Rotate: one of the chosen pieces, drawn evenly, becomes the first; what stood before it comes to the end.

Source: BART (1910.13461) Section 2.2, document rotation (any token: selection `all`).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Effect, Shown
from afterbert.pretext.corruptions._edits import bits_at
from afterbert.pretext.selections import Chosen
from afterbert.pretext.units import stretches_of


@dataclass(frozen=True)
class Rotate(Corruption):
    """Each document of a row (each run of text between special pieces) turns on its own, if any of its pieces is
    chosen. Planes go with their pieces."""

    effect: ClassVar[Effect] = "order"

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        stretches = stretches_of(rows)
        ends = stretches.starts + stretches.lengths
        low, high = (np.searchsorted(chosen.positions, stretches.starts), np.searchsorted(chosen.positions, ends))
        drawn = (bits_at(rows, stretches.starts, noise) >> np.uint64(11)) * 2.0**-53
        pick = np.where(high > low, low + (drawn * (high - low)).astype(np.int64), -1)
        first = np.append(chosen.positions, 0)[pick]
        turn = np.where(pick >= 0, first - stretches.starts, 0)
        within = np.arange(stretches.lengths.sum()) - np.repeat(starts_of(stretches.lengths)[:-1], stretches.lengths)
        turned = (within + np.repeat(turn, stretches.lengths)) % np.repeat(stretches.lengths, stretches.lengths)
        index = np.arange(rows.num_pieces)
        index[~rows.planes["special"]] = np.repeat(stretches.starts, stretches.lengths) + turned
        return Shown(rows.take(index, rows.row_starts), index)
