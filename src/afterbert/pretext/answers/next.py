"""Next: at each piece, which piece follows? The left-to-right language model.

Source: GPT-2 (technical report 2019) Section 2; prefix language models (T5, 1910.10683 Section 3.2.1) ask
after the prefix only.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import flags_at
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.posed import AskedInPlace, Posed


@dataclass(frozen=True)
class Next(Answer):
    """Asks for every chosen piece, from the piece before it, and never inside a visible prefix. `ends`: also for a
    special piece that follows a chosen one (the end of the text)."""

    ends: bool = True

    def check(self, terms: Terms) -> None:
        if not terms.edits or not all(edit.corruption.keeps_places for edit in terms.edits):
            raise UserError("answer next needs a selection and a corruption that moves no piece; use all and keep")
        kinds = terms.sight.kinds
        if not set(kinds) <= {"causal", "prefix"}:
            raise UserError(f"answer next can be seen under visibility {', '.join(kinds)}; use causal or prefix")

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> AskedInPlace:
        rows = posed.shown
        is_asked = flags_at(np.concatenate([step.chosen.positions for step in posed.steps]), rows.num_pieces)
        if self.ends:
            is_asked[1:] |= is_asked[:-1] & rows.planes["special"][1:]
        is_asked[rows.row_starts[:-1][rows.lengths > 0]] = False  # nothing stands before a row's first piece
        if posed.visibility.prefix_lengths is not None:
            is_prefix = np.broadcast_to(np.array(posed.visibility.kind) == "prefix", len(rows))
            seen = np.where(is_prefix, posed.visibility.prefix_lengths, 0)
            is_asked &= rows.position_in_row >= np.repeat(seen, rows.lengths)
        where = np.flatnonzero(is_asked)
        return AskedInPlace(where - 1, posed.original.piece_ids[where], np.arange(len(where)), ahead=1)
