"""Inserted: does this piece not belong to the text?

Source: the article's "insert tokens, predict where"; no paper reports this exact form.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer
from afterbert.pretext.answers._text import the_edit, the_step
from afterbert.pretext.corruptions.insert import Insert
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings import Pairing
from afterbert.pretext.posed import Places, Posed
from afterbert.pretext.sight import Sight


@dataclass(frozen=True)
class Inserted(Answer):
    """Asked at every piece that is not special."""

    def check(self, pairing: Pairing, edits: tuple[Edit, ...], sight: Sight) -> None:
        the_edit(edits, Insert, "inserted", "insert")

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Places:
        asked = np.flatnonzero(~posed.shown.planes["special"])
        return Places("inserted", asked, (the_step(posed, Insert).origin[asked] < 0).astype(np.int8))
