"""Pair label: what does the pairing say of this row's two texts?

Source: BERT (1810.04805) Section 3.1, next sentence prediction; ALBERT (1909.11942) Section 3.1, sentence
order prediction.
"""

from dataclasses import dataclass
from typing import ClassVar

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.posed import Posed, RowLabels


@dataclass(frozen=True)
class PairLabel(Answer):
    """0: as in the text; 1: random second text (NSP), or swapped (SOP); rows of one text only are not asked."""

    cure: ClassVar[str] = (
        "documents of several sentences have some (prepare with --documents paragraphs or file), a task without pairs "
        "needs none (recipe bert-mlm)"
    )

    def check(self, terms: Terms) -> None:
        if terms.pairing.question is None:
            raise UserError(
                f"answer pair_label needs a pairing of two texts with a question; {name_of(terms.pairing)} has none; "
                "use segment_pair_nsp, sentence_pair_nsp or sop, or drop the answer"
            )

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> RowLabels:
        assert posed.labels is not None and posed.question is not None, "the plan's labels go to pose()"
        return RowLabels(posed.question, posed.labels, 2)
