"""An edit: which pieces are chosen, and what is shown in their place. Edits follow one another."""

from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.pretext.corruptions import Corruption
from afterbert.pretext.selections import Selection


@dataclass(frozen=True)
class Extent:
    """The least and the most that a law chooses of a row's `size` ordinary pieces, and the most spans; `likely` is the
    most in all but one row in a million."""

    size: int
    fewest: int
    most: int
    spans: int
    likely: int


@dataclass(frozen=True)
class Edit:
    """A law of choice with its corruption. Raises UserError if the corruption cannot show what the law chooses."""

    selection: Selection
    corruption: Corruption

    def __post_init__(self) -> None:
        if self.selection.has_gaps and not self.corruption.shows_gaps:
            raise UserError(
                f"selection {name_of(self.selection)} draws empty spans, which corruption "
                f"{name_of(self.corruption)} would drop silently; use one_mask_per_span or sentinels, or set its "
                "shortest span to 1"
            )

    def extent(self, size: int, *, is_cut: bool) -> Extent:
        """Tells what to expect of a row of `size` ordinary pieces; is_cut: special ones may stand between them and cut
        spans."""
        promise = self.selection.promise if self.selection.counts_pieces else "expected"
        budget = size if promise == "expected" else int(self.selection.budget(np.array([size]))[0])
        spans = budget if is_cut else min(budget, self.selection.most_spans(size))
        likely = min(budget, self.selection.likely_most(size))
        return Extent(size, budget if promise == "exact" else 0, budget, spans, likely)


Extents = tuple[tuple[Edit, Extent], ...]
