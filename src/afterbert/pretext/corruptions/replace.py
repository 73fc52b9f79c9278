"""Replace: every chosen piece becomes a random one.

Source: the easy control of ELECTRA (2003.10555 Section 2), whose generator draws likelier ones. A drawn piece
may equal the original, as there; the answer `replaced` then says no.
"""

from __future__ import annotations

from dataclasses import dataclass

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Shown
from afterbert.pretext.corruptions._edits import bits_at, random_pieces, with_ids
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class Replace(Corruption):
    """Uniform over the ordinary pieces of the vocabulary."""

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        ids = rows.piece_ids.copy()
        ids[chosen.positions] = random_pieces(bits_at(rows, chosen.positions, noise), vocabulary)
        return with_ids(rows, ids)
