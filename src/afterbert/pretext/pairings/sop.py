"""Sentence order prediction: two neighbouring segments, in order or swapped.

Source: ALBERT (1909.11942) Section 3.1; segments are cut as BERT cuts them. Deviation: a chunk of one sentence stands
alone and is not asked; the release falls back to a random second segment there, and so to NSP on short documents.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.numbers import Share
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Plan
from afterbert.pretext.pairings._pairs import (
    ChunkWalk,
    OfTwoTexts,
    PairPlan,
    Pairs,
    own_texts,
    short_targets,
    truncated,
)
from afterbert.pretext.pairings._sentences import room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class Sop(OfTwoTexts):
    """swap_rate: of swapped pairs. Labels: 0 in order, 1 swapped, -1 one segment only. Raises UserError if the plan's
    length leaves no room for two pieces."""

    short_rate: Share = 0.1
    swap_rate: Share = 0.5

    question: ClassVar[str | None] = "sentence_order"

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials, least=2)
        chunks = ChunkWalk(split, short_targets(room, self.short_rate, noise), 0.0, noise)

        def pairs(numbers: np.ndarray) -> Pairs:
            some = chunks.take(numbers)
            a_start, a_length, b_start, b_length = own_texts(split, some)
            keys = some.start.astype(np.uint64)
            a, b = truncated((a_start, a_length), (b_start, b_length), room, keys, noise)
            is_pair = b[1] > 0
            swapped = is_pair & (noise.of("swap").uniform(keys) < self.swap_rate)
            first, second = np.where(swapped, (b, a), (a, b))
            return Pairs(
                first[0], first[1], second[0], second[1], np.zeros_like(swapped), np.where(is_pair, swapped, -1)
            )

        return PairPlan(split, len(chunks), pairs, vocabulary)
