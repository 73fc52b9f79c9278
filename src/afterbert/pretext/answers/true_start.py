"""True start: from a document's first piece, point to the piece that opened it before it was rotated.

Source: BART (1910.13461) Section 2.2 rotates so that the model must find the start; asking for the place itself is the
article's "move everything from a random token to the front, predict the true start", a form no paper reports.
"""

from dataclasses import dataclass

from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers._text import AboutOneEdit
from afterbert.pretext.corruptions.rotate import Rotate
from afterbert.pretext.posed import Pointers, Posed
from afterbert.pretext.units import stretches_of


@dataclass(frozen=True)
class TrueStart(AboutOneEdit):
    """Asked for every document of two pieces or more; every piece that is not special is a candidate."""

    corruption = Rotate

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Pointers:
        step = self.step(posed)
        stretches = stretches_of(step.before)
        asked = stretches.starts[stretches.lengths > 1]
        return Pointers("true_start", asked, step.stands_at[asked], ~posed.shown.planes["special"])
