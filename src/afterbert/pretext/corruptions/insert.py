"""Insert: a random piece comes to stand before every chosen piece.

Source: the list of tasks in the article that this project follows ("insert tokens, predict where"); no paper
reports this exact form.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, flags_at
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Effect, Shown
from afterbert.pretext.corruptions._edits import bits_at, random_pieces, with_new
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class Insert(Corruption):
    """Uniform over the ordinary pieces of the vocabulary.

    >>> rows, chosen = Rows.of("[CLS] a b [SEP]"), Chosen(np.array([2]), np.array([0]))
    >>> Insert()(rows, chosen, Noise(0), Vocabulary(size=20)).origin.tolist()
    [0, 1, -1, 2, 3]
    """

    effect: ClassVar[Effect] = "insertion"

    def length_after(self, size: int, *, fewest: int, most: int, spans: int) -> int:
        return size + most

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        times = np.ones(rows.num_pieces, dtype=np.int64)
        times[chosen.positions] = 2
        index = np.repeat(np.arange(rows.num_pieces), times)
        is_new = flags_at(chosen.positions + np.arange(len(chosen.positions)), len(index))
        shown = with_new(rows, index, is_new)
        shown.piece_ids[is_new] = random_pieces(bits_at(rows, chosen.positions, noise), vocabulary)
        return Shown(shown, np.where(is_new, -1, index))
