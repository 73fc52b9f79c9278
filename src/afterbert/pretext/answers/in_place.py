"""In place: which piece belongs here, asked at the chosen pieces.

Source: BERT (1810.04805) Section 3.1; the chosen positions travel here from the selection, so pieces shown
unchanged are asked too.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.posed import AskedInPlace, Posed


@dataclass(frozen=True)
class InPlace(Answer):
    """Asks at every chosen piece of every edit that leaves its place standing; one chosen twice belongs to the
    first."""

    cure: ClassVar[str] = (
        "choose a unit that the texts have (phrase|word takes words where there is no phrase), or a higher rate"
    )

    def check(self, terms: Terms) -> None:
        asked = [edit for edit in terms.edits if edit.corruption.keeps_places]
        if not asked:
            raise UserError(
                "answer in_place needs a corruption that leaves the chosen places standing; use mask, or another answer"
            )
        if terms.sight.kinds != ("permutation",) and not all(edit.corruption.hides for edit in asked):
            raise UserError(
                "answer in_place asks for pieces that the model can read where they stand; "
                "use corruption mask, or visibility permutation"
            )

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> AskedInPlace:
        if len(posed.steps) == 1:
            chosen = posed.steps[0].chosen
            return AskedInPlace(chosen.positions, posed.original.piece_ids[chosen.positions], chosen.spans)
        parts = [_asked_of(posed, number) for number, step in enumerate(posed.steps) if step.keeps_places]
        step_of = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
        now, first, spans = np.concatenate(parts, axis=1)
        now, index = np.unique(now, return_index=True)  # the first of equal ones: the earliest edit
        begins = np.diff(spans[index] * len(parts) + step_of[index], prepend=-1) != 0
        return AskedInPlace(now, posed.original.piece_ids[first[index]], np.cumsum(begins) - 1)


def _asked_of(posed: Posed, number: int) -> np.ndarray:
    """int64 [3, N]: shown place, original place and span of what this step chose and the shown rows still hold."""
    chosen = posed.steps[number].chosen
    now = posed.places_now(number, chosen.positions)
    found = np.stack([now, posed.places_first(number, chosen.positions), chosen.spans])
    return found[:, (found[:2] >= 0).all(axis=0)]
