"""Permute sentences: the sentences that hold a chosen piece change places with one another.

Source: BART (1910.13461) Section 2.2, sentence permutation (all of them: selection `all`); sentences come
from the plane `sentence_start`, found on raw text, where the paper splits on full stops.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, ranges
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Effect, Shown
from afterbert.pretext.corruptions._edits import bits_at
from afterbert.pretext.selections import Chosen
from afterbert.pretext.units import sentences_of, stretches_of


@dataclass(frozen=True)
class PermuteSentences(Corruption):
    """Puts the sentences of a row in random order. No sentence leaves its document or crosses a special piece. Planes
    go with their pieces."""

    effect: ClassVar[Effect] = "order"

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        sentences, stretches = sentences_of(rows), stretches_of(rows)
        of_position = np.searchsorted(sentences.starts, chosen.positions, side="right") - 1
        moving = np.unique(of_position)
        begins = sentences.starts[moving]
        stretch = np.searchsorted(stretches.starts, begins, side="right")
        order = np.arange(len(sentences.starts))
        order[moving] = moving[np.lexsort((bits_at(rows, begins, noise), stretch))]
        index = np.arange(rows.num_pieces)
        index[~rows.planes["special"]] = ranges(sentences.starts[order], sentences.lengths[order])
        return Shown(rows.take(index, rows.row_starts), index)
