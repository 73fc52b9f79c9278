"""True start: from a document's first piece, point to the piece that opened it before it was rotated.

Source: BART (1910.13461) Section 2.2 rotates so that the model must find the start; asking for the place itself is the
article's "move everything from a random token to the front, predict the true start", a form no paper reports.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer
from afterbert.pretext.answers._text import the_edit, the_step
from afterbert.pretext.corruptions.rotate import Rotate
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings import Pairing
from afterbert.pretext.posed import Pointers, Posed
from afterbert.pretext.sight import Sight
from afterbert.pretext.units import stretches_of


@dataclass(frozen=True)
class TrueStart(Answer):
    """Asked for every document of two pieces or more; every piece that is not special is a candidate."""

    def check(self, pairing: Pairing, edits: tuple[Edit, ...], sight: Sight) -> None:
        the_edit(edits, Rotate, "true_start", "rotate")

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Pointers:
        step = the_step(posed, Rotate)
        stretches = stretches_of(step.before)
        stands_at = np.empty(step.before.num_pieces, dtype=np.int64)
        stands_at[step.origin] = np.arange(len(step.origin))
        asked = stretches.starts[stretches.lengths > 1]
        return Pointers("true_start", asked, stands_at[asked], ~posed.shown.planes["special"])
