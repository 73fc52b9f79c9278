"""Replaced: is this piece another than the original one?

Source: ELECTRA (2003.10555) Section 2.1; a replacement equal to the original counts as original. Here the
replacements come from the corruption (random pieces, an easy control); with a generator's samples the
objective asks the same question.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.posed import Places, Posed


@dataclass(frozen=True)
class Replaced(Answer):
    """Asked at every piece that is not special."""

    def check(self, terms: Terms) -> None:
        found = [edit.corruption for edit in terms.edits]
        if not any(one.hides for one in found) or not all(one.keeps_places for one in found):
            raise UserError(
                "answer replaced needs corruptions that put other pieces in the same places; use replace, or shuffle"
            )
        if any(isinstance(one, Mask) and one.masked > 0 for one in found):
            raise UserError("answer replaced is given away by [MASK]; use replace, or mask with masked: 0")

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Places:
        asked = np.flatnonzero(~posed.shown.planes["special"])
        is_other = posed.shown.piece_ids[asked] != posed.original.piece_ids[asked]
        return Places("replaced", asked, is_other.astype(np.int8))
