"""Sentence pairs with next sentence prediction: two single sentences, the second the true next one or a random one.

Source: RoBERTa (1907.11692) Section 4.2, SENTENCE-PAIR+NSP, drawn as BERT draws segments; it raises the batch
to make up for the short rows (a setting of the training loop here).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.numbers import Share
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Plan
from afterbert.pretext.pairings._pairs import ChunkWalk, OfTwoTexts, PairPlan, Pairs, foreign_texts, next_sentence_pairs
from afterbert.pretext.pairings._sentences import room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class SentencePairNsp(OfTwoTexts):
    """random_rate: of random second sentences; a document's last sentence, left over, gets one for certain. Labels: 0
    the next sentence, 1 random. Raises UserError if the plan's length leaves no room for two pieces."""

    random_rate: Share = 0.5

    question: ClassVar[str | None] = "next_sentence"

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials, least=2)

        def endless(start: np.ndarray) -> np.ndarray:
            return np.full(len(start), split.num_pieces)

        chunks = ChunkWalk(split, endless, self.random_rate, noise, most=2)

        def pairs(numbers: np.ndarray) -> Pairs:
            some = chunks.take(numbers)
            foreign = foreign_texts(split, some, np.ones_like(some.start), chunks.of_document, noise, most=1)
            return next_sentence_pairs(split, some, foreign, room=room, noise=noise)

        return PairPlan(split, len(chunks), pairs, vocabulary)
