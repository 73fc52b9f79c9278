"""Delete: the chosen pieces vanish without a trace.

Source: BART (1910.13461) Section 2.2, token deletion; T5 (1910.10683) Section 3.3.1, "drop corrupted tokens".
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, flags_at
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Effect, Shown
from afterbert.pretext.corruptions._edits import cut_anew
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class Delete(Corruption):
    """
    >>> rows, chosen = Rows.of("[CLS] a b c [SEP]"), Chosen(np.array([2]), np.array([0]))
    >>> Delete()(rows, chosen, Noise(0), Vocabulary(size=20)).origin.tolist()
    [0, 1, 3, 4]
    """

    effect: ClassVar[Effect] = "removal"

    def length_after(self, size: int, *, fewest: int, most: int, spans: int) -> int:
        return size - fewest

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        index = np.flatnonzero(~flags_at(chosen.positions, rows.num_pieces))
        return Shown(cut_anew(rows, index), index)
