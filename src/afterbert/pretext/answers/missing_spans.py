"""Missing spans: write each span after the mark that stands for it.

Source: T5 (1910.10683) Section 3.3.1, "replace corrupted spans"; the release ends the target with the end
piece, the paper's figure with one more sentinel. Deviation: a span always follows its own mark; the release,
which inverts its mask, pairs them wrongly when a row begins with a span.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import flags_at, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.answers._text import end_id, is_marking, kept_places, written
from afterbert.pretext.edits import Extents
from afterbert.pretext.posed import Posed, WrittenText


@dataclass(frozen=True)
class MissingSpans(Answer):
    """Asks for the missing spans, each after its mark."""

    closing: Literal["end", "sentinel", "both"] = "end"
    """What ends the target: the end piece (eos, or sep if there is none), a `sentinel` (the first that the row has not
    used; the last one if it has used all), or `both`, the sentinel first."""

    def check(self, terms: Terms) -> None:
        if sum(is_marking(edit.corruption) for edit in terms.edits) != 1:
            raise UserError(
                "answer missing_spans needs exactly one edit that leaves a mark for each span; "
                "use sentinels, or one_mask_per_span"
            )

    def target_length(self, row_length: int, extents: Extents) -> int:
        edit, extent = next((edit, extent) for edit, extent in extents if is_marking(edit.corruption))
        written = extent.likely + (extent.spans if edit.selection.has_gaps else min(extent.spans, extent.likely))
        if edit.corruption.merges and not edit.selection.has_gaps:
            written = min(written, extent.size + 1)  # between two marks at least one piece is left
        return written + (2 if self.closing == "both" else 1)

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> WrittenText:
        number, step = next((n, step) for n, step in enumerate(posed.steps) if is_marking(step.corruption))
        marks = step.chosen.marks
        places, is_text = kept_places(posed, number)
        full = np.flatnonzero(~marks.is_gap)
        spans = step.chosen.spans[is_text]
        sizes = np.ones(len(marks.positions), dtype=np.int64)
        sizes[full] += np.bincount(spans, minlength=len(full))
        starts = starts_of(sizes)
        at_marks, at_text = starts[:-1], full[spans] + np.arange(1, len(spans) + 1)
        is_mark = flags_at(at_marks, starts[-1])
        ids, where = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1], dtype=np.int64)
        ids[at_marks] = step.after.piece_ids[step.origin < 0]
        where[at_marks] = posed.places_first(number, marks.positions)
        ids[at_text], where[at_text] = posed.original.piece_ids[places], places
        of_row = np.searchsorted(marks.positions, step.before.row_starts)  # the marks before each row
        ends = self._ends(np.diff(of_row), vocabulary)
        return written(posed.original, starts[of_row], ids, where, is_mark, ends)

    def _ends(self, used: np.ndarray, vocabulary: Vocabulary) -> list[np.ndarray | int]:
        """The pieces that end each row's text; used: int64 [B], marks in each row."""
        ends: list[np.ndarray | int] = []
        if self.closing != "end":
            if not vocabulary.sentinels:
                raise UserError("closing with a sentinel needs a tokenizer that has some; use closing: end")
            ends.append(np.array(vocabulary.sentinels)[np.minimum(used, len(vocabulary.sentinels) - 1)])
        if self.closing != "sentinel":
            ends.append(end_id(vocabulary))
        return ends
