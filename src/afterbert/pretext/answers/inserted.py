"""Inserted: does this piece not belong to the text?

Source: the article's "insert tokens, predict where"; no paper reports this exact form.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers._text import AboutOneEdit
from afterbert.pretext.corruptions.insert import Insert
from afterbert.pretext.posed import Places, Posed


@dataclass(frozen=True)
class Inserted(AboutOneEdit):
    """Asked at every piece that is not special."""

    corruption = Insert

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Places:
        asked = np.flatnonzero(~posed.shown.planes["special"])
        return Places("inserted", asked, (self.step(posed).origin[asked] < 0).astype(np.int8))
