"""Deleted: is something missing just before this piece?

Source: BART (1910.13461) Section 2.2 deletes so that the model must find where; asking for the place itself
is the article's "delete tokens, predict where", a form no paper reports.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.rows import flags_at
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers._text import AboutOneEdit
from afterbert.pretext.corruptions.delete import Delete
from afterbert.pretext.posed import Places, Posed


@dataclass(frozen=True)
class Deleted(AboutOneEdit):
    """Asked at every piece, so at every gap (the last before the closing special piece), but not at a special piece
    that opens its row."""

    corruption = Delete

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Places:
        step, rows = self.step(posed), posed.shown
        before = np.concatenate([[-1], step.origin[:-1]])
        opens = flags_at(rows.row_starts[:-1][rows.lengths > 0], rows.num_pieces)
        before[opens] = step.before.row_starts[:-1][rows.lengths > 0] - 1
        is_after_gap = step.origin - before > 1
        asked = np.flatnonzero(~(opens & rows.planes["special"]))
        return Places("deleted", asked, is_after_gap[asked].astype(np.int8))
