"""Replace: every chosen piece becomes another one.

Source: the easy control of ELECTRA (2003.10555 Section 2), whose generator draws likelier ones. A drawn piece
may equal the original, as there; the answer `replaced` then says no.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Shown
from afterbert.pretext.corruptions._edits import bits_at, random_pieces, with_ids
from afterbert.pretext.selections import Chosen

_S32 = np.uint64(32)


@dataclass(frozen=True)
class Replace(Corruption):
    """
    >>> rows, chosen = Rows.of("[CLS] a b c [SEP]"), Chosen(np.array([2]), np.array([0]))
    >>> shown = Replace(draws="row")(rows, chosen, Noise(0), Vocabulary(size=20)).rows
    >>> shown.piece_ids[2] in rows.piece_ids[1:4]
    True
    """

    draws: Literal["vocabulary", "row"] = "vocabulary"
    """Where the other piece comes from: evenly from the vocabulary, or from the row's own ordinary pieces, which are
    likelier."""

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        ids = rows.piece_ids.copy()
        bits = bits_at(rows, chosen.positions, noise)
        if self.draws == "vocabulary":
            ids[chosen.positions] = random_pieces(bits, vocabulary)
            return with_ids(rows, ids)
        ordinary = np.flatnonzero(~rows.planes["special"])
        first = np.searchsorted(ordinary, rows.row_starts)
        row = rows.rows_of(chosen.positions)
        drawn = ((bits >> _S32) * np.diff(first)[row].astype(np.uint64)) >> _S32
        ids[chosen.positions] = rows.piece_ids[ordinary[first[row] + drawn.astype(np.int64)]]
        return with_ids(rows, ids)
