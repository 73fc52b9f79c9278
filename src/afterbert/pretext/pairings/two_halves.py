"""Two runs of sentences of one document, in order, about half a row each: `[CLS] A [SEP] B [SEP]`, and no question.

Source: google-research/electra `build_pretraining_dataset.py`, the rows of the release (the paper states none). A row
takes sentences of one document until it is full. A ends where half of it is full, before or after the sentence that
crosses the middle by the throw of a coin; some rows have A alone, as tasks of one text have; some aim at a length drawn
evenly. What hangs over the end is cut off and lost. Deviations: sentences are those of the store, where the release
takes lines; B never holds a sentence from before the end of A, where a short one may slip back into A in the release.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.numbers import Share
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Plan
from afterbert.pretext.pairings._pairs import OfTwoTexts, PairPlan, Pairs
from afterbert.pretext.pairings._sentences import document_sentences, ends_of, room_for, walk
from afterbert.text.token_store.store import Split

_SHORTEST = 5  # pieces that a short row aims at, at least


@dataclass(frozen=True)
class TwoHalves(OfTwoTexts):
    """Raises UserError if the plan's length leaves no room for two pieces."""

    single_rate: Share = 0.1
    """The share of rows of one text only."""
    short_rate: Share = 0.05
    """The share of rows that aim at a length between 5 pieces and all that fit."""

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials, least=2)
        starts, of_document = split.sentence_starts, document_sentences(split)

        def target(at: np.ndarray) -> np.ndarray:
            keys, least = at.astype(np.uint64), min(_SHORTEST, room)
            drawn = least + noise.of("short_length").integers(length - least + 1, keys)
            return np.where(noise.of("is_short").uniform(keys) < self.short_rate, drawn, length)

        def following(at: np.ndarray, last: np.ndarray) -> np.ndarray:
            # the release compares pieces of text with the length of a row, so that full rows have some to cut off
            return ends_of(starts, at, target(at), last)

        begins = walk(of_document, following)

        def pairs(numbers: np.ndarray) -> Pairs:
            at = begins[numbers]
            end = following(at, of_document[np.searchsorted(of_document, at, side="right")])
            is_single = noise.of("is_single").uniform(at.astype(np.uint64)) < self.single_rate
            middle = np.where(is_single, end, self._middles(split, at, target(at), noise))
            middle = starts[np.minimum(middle, end)]
            a_length = np.minimum(middle - starts[at], room)
            b_length = np.minimum(starts[end] - middle, room - a_length)
            return Pairs(starts[at], a_length, middle, b_length, np.zeros(len(at), dtype=bool), None)

        return PairPlan(split, len(begins), pairs, vocabulary)

    def _middles(self, split: Split, at: np.ndarray, target: np.ndarray, noise: Noise) -> np.ndarray:
        """int64 [R]: the sentence at which B begins, for rows that begin with the sentences `at` [R]."""
        starts, half = split.sentence_starts, np.maximum((target - self.num_specials) // 2, 0)
        crossing = np.maximum(np.searchsorted(starts, starts[at] + half) - 1, at + 1)
        crossing = np.minimum(crossing, len(starts) - 1)
        may_join = starts[crossing] - starts[at] < half  # a first sentence that is too long crosses alone
        return crossing + (may_join & (noise.of("crosses").uniform(at.astype(np.uint64)) < 0.5))
