"""Mask: most chosen pieces become [MASK], some a random piece, the rest stay as they are.

Source: BERT (1810.04805) Section 3.1, 80/10/10, one draw a piece; SpanBERT (1907.10529) Section 3.1, one draw
a span, each of its pieces with its own random piece. Deviation: random pieces come from the ordinary part of
the vocabulary, BERT's release draws special ones too.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise, chance
from afterbert.base.numbers import Share
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Shown
from afterbert.pretext.corruptions._edits import bits_at, hidden_at, random_pieces, with_ids
from afterbert.pretext.selections import Chosen

_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Mask(Corruption):
    """`masked`, `random`: shares of the chosen pieces; what is left of 1 is shown unchanged. `per`: who draws, each
    piece or each span (a whole word, an n-gram) as one.

    >>> rows = Rows.of("[CLS] a b c [SEP]")
    >>> chosen = Chosen(np.array([1, 3]), np.array([0, 1]))
    >>> Mask(masked=1.0, random=0.0)(rows, chosen, Noise(0), Vocabulary(size=20, mask=4)).rows.piece_ids.tolist()
    [2, 4, 11, 4, 3]
    """

    masked: Share = 0.8
    random: Share = 0.1
    per: Literal["piece", "span"] = "piece"

    def __post_init__(self) -> None:
        if self.masked + self.random > 1 + 1e-9:
            raise UserError(
                f"masked {self.masked:g} and random {self.random:g} add up to more than 1; lower one, "
                "the rest is left unchanged"
            )

    @property
    def hides(self) -> bool:
        return self.masked + self.random > 0

    def check(self, vocabulary: Vocabulary, spans: int) -> None:
        if self.masked:
            vocabulary.need("mask")

    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        where, ids = chosen.positions, rows.piece_ids.copy()
        bits = bits_at(rows, where, noise)
        draw = (bits if self.per == "piece" else bits[chosen.begins[chosen.spans]]) & _LOW
        is_masked = draw < chance(self.masked)
        is_random = (draw < chance(min(1.0, self.masked + self.random))) & ~is_masked
        if self.masked:
            ids[where[is_masked]] = vocabulary.need("mask")
        if self.random:
            ids[where[is_random]] = random_pieces(bits[is_random], vocabulary)
        return with_ids(rows, ids, hidden=hidden_at(rows, where[is_masked]))
