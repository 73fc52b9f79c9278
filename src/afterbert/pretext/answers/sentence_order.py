"""Sentence order: from each sentence, point to the one that followed it.

Source: the article's "shuffle sentences, predict the order"; no paper reports this exact form. From its first
piece each sentence points to the first piece of its true successor; the last of a document points to itself.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.rows import flags_at
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers._text import AboutOneEdit
from afterbert.pretext.corruptions.permute_sentences import PermuteSentences
from afterbert.pretext.posed import Pointers, Posed
from afterbert.pretext.units import sentences_of, stretches_of


@dataclass(frozen=True)
class SentenceOrder(AboutOneEdit):
    """Asked wherever a document shows two sentences or more; only starts of sentences are candidates."""

    cure: ClassVar[str] = (
        "a row needs two sentences of one document: take longer rows, or documents of several sentences (prepare with "
        "--documents paragraphs or file)"
    )

    corruption = PermuteSentences

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Pointers:
        step = self.step(posed)
        sentences, stretches = sentences_of(step.before), stretches_of(step.before)
        starts = step.stands_at[sentences.starts]
        stretch = np.searchsorted(stretches.starts, sentences.starts, side="right")
        has_next = np.append(stretch[1:] == stretch[:-1], False)[: len(starts)]
        targets = np.where(has_next, np.append(starts[1:], 0)[: len(starts)], starts)
        is_alone = ~has_next & ~np.insert(has_next, 0, False)[:-1]
        asked = np.flatnonzero(~is_alone)[np.argsort(starts[~is_alone])]
        return Pointers("sentence_order", starts[asked], targets[asked], flags_at(starts, step.before.num_pieces))
