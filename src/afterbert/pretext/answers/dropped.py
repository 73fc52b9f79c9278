"""Dropped: write the pieces that are gone, in order, with nothing between them.

Source: T5 (1910.10683) Section 3.3.1, "drop corrupted tokens". With selection one_fragment and corruption mask: MASS
(1905.02450 Section 3.1), whose decoder predicts the fragment only, at the fragment's own positions (`places`).
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.answers._text import end_id, hides_text, kept_places, written
from afterbert.pretext.edits import Extents
from afterbert.pretext.posed import Posed, WrittenText


@dataclass(frozen=True)
class Dropped(Answer):
    """Closed by the end piece: eos, or sep where there is none."""

    def check(self, terms: Terms) -> None:
        if not any(hides_text(edit.corruption) for edit in terms.edits):
            raise UserError("answer dropped needs a corruption that takes pieces away; use delete, or mask")

    def target_length(self, row_length: int, extents: Extents) -> int:
        return 1 + min(row_length, sum(extent.likely for edit, extent in extents if hides_text(edit.corruption)))

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> WrittenText:
        hiding = [number for number, step in enumerate(posed.steps) if hides_text(step.corruption)]
        original = posed.original
        places = np.unique(np.concatenate([kept_places(posed, number)[0] for number in hiding]))
        starts = np.searchsorted(places, original.row_starts)
        is_special = np.zeros(len(places), dtype=bool)
        return written(original, starts, original.piece_ids[places], places, is_special, [end_id(vocabulary)])
