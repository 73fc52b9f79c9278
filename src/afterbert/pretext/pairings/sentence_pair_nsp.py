"""Sentence pairs with next sentence prediction: two single sentences, the second the true next one or a random one.

Source: RoBERTa (1907.11692) Section 4.2, SENTENCE-PAIR+NSP, drawn as BERT draws segments; it raises the batch
to make up for the short rows (a setting of the training loop here).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Pairing, Plan
from afterbert.pretext.pairings._pairs import PairPlan, Pairs, chunks_of, foreign_texts, own_texts, truncated
from afterbert.pretext.pairings._sentences import room_for
from afterbert.pretext.pairings.segment_pair_nsp import Probability
from afterbert.text.store import Split


@dataclass(frozen=True)
class SentencePairNsp(Pairing):
    """random_rate: of random second sentences; a document's last sentence, left over, gets one for certain.
    Labels: 0 the next sentence, 1 random. Raises UserError when the plan's length leaves no room for two
    pieces.
    """

    random_rate: Probability = 0.5

    question: ClassVar[str | None] = "next_sentence"

    @property
    def num_specials(self) -> int:
        return 3

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials, least=2)
        endless = np.full(split.num_documents, split.num_pieces + 1)
        chunks = chunks_of(split, endless, self.random_rate, noise, most=2)
        a_start, a_length, b_start, b_length = own_texts(split, chunks)
        foreign = foreign_texts(split, chunks, np.ones_like(a_length), noise, most=1)
        b_start, b_length = (
            np.where(chunks.is_random, f, own) for f, own in zip(foreign, (b_start, b_length))
        )
        keys = chunks.start.astype(np.uint64)
        (a_start, a_length), (b_start, b_length) = truncated(
            (a_start, a_length), (b_start, b_length), room, keys, noise
        )
        labels = np.where(b_length > 0, chunks.is_random, -1)
        return PairPlan(
            split, Pairs(a_start, a_length, b_start, b_length, chunks.is_random, labels), vocabulary
        )
