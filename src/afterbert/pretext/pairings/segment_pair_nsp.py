"""Segment pairs with next sentence prediction: two runs of sentences, the second the true continuation or a random one.

Source: BERT (1810.04805) Section 3.1 and Appendix A.2; google-research/bert `create_pretraining_data.py`, chunks of
sentences up to a target length, which is short for one in ten, A cut off at a random sentence, B random for half of the
chunks and for all of one sentence (then the unused sentences go back), the longer side truncated at random ends.
Deviation: the release draws the target length once a document (see `short_targets`). RoBERTa's SEGMENT-PAIR+NSP
(1907.11692 Section 4.2) is the same. Without the loss: leave the answer `pair_label` out.
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
    foreign_texts,
    next_sentence_pairs,
    own_texts,
    short_targets,
)
from afterbert.pretext.pairings._sentences import room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class SegmentPairNsp(OfTwoTexts):
    """random_rate: of random second texts (0: never, and a chunk of one sentence stands alone, not asked). Labels: 0
    the continuation, 1 random. Raises UserError if the plan's length leaves no room for two pieces."""

    short_rate: Share = 0.1
    random_rate: Share = 0.5

    question: ClassVar[str | None] = "next_sentence"

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials, least=2)
        chunks = ChunkWalk(split, short_targets(room, self.short_rate, noise), self.random_rate, noise)

        def pairs(numbers: np.ndarray) -> Pairs:
            some = chunks.take(numbers)
            _, a_length, _, _ = own_texts(split, some)
            foreign = foreign_texts(split, some, some.target - a_length, chunks.of_document, noise)
            return next_sentence_pairs(split, some, foreign, room=room, noise=noise)

        return PairPlan(split, len(chunks), pairs, vocabulary)
