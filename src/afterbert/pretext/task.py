"""A pretext task: the four questions answered, as one frozen configuration."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.visibility import Visibility
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.edits import Edit, Extents
from afterbert.pretext.pairings import Pairing
from afterbert.pretext.posed import Posed, Step
from afterbert.pretext.sight import Sight

_LONGEST_GAIN = 4  # rows are planned at most so many times as long as what a model reads


@dataclass(frozen=True)
class Pretext:
    """A pretext task: which texts stand together, what is chosen and shown instead (edit after edit), what is
    asked, who sees whom.

    Raises UserError if the parts do not fit.
    """

    pairing: Pairing
    edits: tuple[Edit, ...]
    answers: tuple[Answer, ...]
    visibility: Sight = Sight()

    def __post_init__(self) -> None:
        if not self.answers:
            raise UserError("a pretext task without answers asks nothing; name at least one, such as in_place")
        if "permutation" in self.visibility.kinds and not any(edit.selection.has_rank for edit in self.edits):
            raise UserError("visibility permutation needs a selection that draws an order; use permutation_tail")
        for answer in self.answers:
            answer.check(Terms(self.pairing, self.edits, self.visibility))

    def check(self, vocabulary: Vocabulary, row_length: int) -> None:
        """Raises UserError if this tokenizer lacks a piece that rows planned with `row_length` need. Laws that do not
        know their number of spans in advance count as one span."""
        for edit, extent in self._extents(row_length):
            knows = edit.selection.promise == "exact" and edit.selection.counts_pieces
            edit.corruption.check(vocabulary, extent.spans if knows else 1)

    def row_length(self, length: int) -> int:
        """Returns the length of rows to plan (special pieces included) so that what is shown does not exceed `length`,
        and comes as close to it as is certain, where no piece is unknown (see `fitted`). It is longer than `length`
        where spans shrink to marks (T5: 568 pieces and the end piece for 512), shorter where pieces are inserted."""
        row = length
        while row > self.pairing.num_specials + 1 and self.shown_length(row) > length:
            row -= 1
        while row < _LONGEST_GAIN * length and self.shown_length(row + 1) <= length:
            row += 1
        return row

    def shown_length(self, row_length: int) -> int:
        """Returns the most pieces shown of a row planned with `row_length`, special pieces included in both."""
        return self._shown(row_length, self._extents(row_length))

    def target_length(self, row_length: int) -> int | None:
        """Returns the longest target text, in all but one row in a million, for rows planned with `row_length`; None if
        nothing is written."""
        return self._written(row_length, self._extents(row_length))

    def shown_and_written(self, row_length: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns (pieces shown, pieces written) of a row in which the laws choose as little as they may, and of one in
        which they choose as much as they are likely to. The more is written, the less is shown."""
        little, much = (self._extents(row_length, at=at) for at in ("fewest", "likely"))
        return (
            (self._shown(row_length, little), self._written(row_length, little) or 0),
            (self._shown(row_length, much), self._written(row_length, much) or 0),
        )

    def _shown(self, row_length: int, extents: Extents) -> int:
        size = max(0, row_length - self.pairing.num_specials)
        for edit, extent in extents:
            size = edit.corruption.length_after(size, fewest=extent.fewest, most=extent.most, spans=extent.spans)
        return size + self.pairing.num_specials

    def _written(self, row_length: int, extents: Extents) -> int | None:
        lengths = [answer.target_length(row_length, extents) for answer in self.answers]
        return max([length for length in lengths if length is not None], default=None)

    def _extents(self, row_length: int, *, at: Literal["fewest", "likely"] | None = None) -> Extents:
        """What each edit finds and chooses; at: of a row in which it chooses exactly so many."""
        size, found = max(0, row_length - self.pairing.num_specials), []
        for number, edit in enumerate(self.edits):
            extent = edit.extent(size, is_cut=self.pairing.has_inner_specials)
            if number:  # what earlier edits hide can be chosen no more
                extent = replace(extent, fewest=0)
            if at is not None:
                exactly = getattr(extent, at)
                extent = replace(extent, fewest=exactly, most=exactly, likely=exactly)
            found.append((edit, extent))
            size = edit.corruption.length_after(size, fewest=extent.fewest, most=extent.most, spans=extent.spans)
        return tuple(found)

    def fitted(self, rows: Rows, noise: Noise, vocabulary: Vocabulary, labels: np.ndarray | None, most: int) -> Posed:
        """Returns the task on these rows, see `pose`. A row of which more than `most` pieces would be shown loses its
        end: where laws find pieces that they may not choose, such as unknown ones, less is taken away than planned."""
        posed = self.pose(rows, noise, vocabulary, labels)
        while (over := posed.shown.lengths - most).max(initial=0) > 0:
            shorter = rows.without_ends(np.maximum(over, 0))
            if shorter.num_pieces == rows.num_pieces:
                break  # special pieces alone are too many
            rows, posed = shorter, self.pose(shorter, noise, vocabulary, labels)
        return posed

    def pose(self, rows: Rows, noise: Noise, vocabulary: Vocabulary, labels: np.ndarray | None = None) -> Posed:
        """Returns the task on these rows; `labels` int64 [B] are the plan's. A pure function of row, key, noise and
        vocabulary, row by row. Unknown pieces are shown, but no law chooses them, since what they stand for is lost."""
        is_unknown = rows.piece_ids == vocabulary.unk
        if vocabulary.unk is not None and is_unknown.any():
            rows = rows.with_planes(unknown=is_unknown)
        steps: list[Step] = []
        shown, origin = rows, None
        for number, edit in enumerate(self.edits):
            drawn = edit.selection(shown, noise.of(f"select{number}"))
            chosen = edit.corruption.settled(shown, drawn, vocabulary)
            edited = edit.corruption(shown, chosen, noise.of(f"corrupt{number}"), vocabulary)
            steps.append(Step(shown, chosen, edited.rows, edited.origin, edit.corruption))
            if origin is None or edit.corruption.keeps_places:
                origin = edited.origin if origin is None else origin
            else:
                origin = np.where(edited.origin < 0, -1, origin[edited.origin])
            shown = edited.rows
        origin = np.arange(rows.num_pieces) if origin is None else origin
        posed = Posed(shown, Visibility(), origin, rows, tuple(steps), labels, self.pairing.question)
        posed = replace(posed, visibility=self.visibility.of(posed, noise.of("sight")))
        return replace(posed, asked=tuple(answer(posed, vocabulary) for answer in self.answers))
