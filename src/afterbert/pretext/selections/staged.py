"""Staged: one law of choice after another, view by view of the data.

Source: ERNIE 1.0 (1904.09223) Section 3.2: basic masking first, then phrases, then entities, all at the same
rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.pretext.selections import Chosen, Promise, Selection
from afterbert.pretext.selections.fixed_count import FixedCount


@dataclass(frozen=True)
class Stage:
    """A law of choice for so many views (the last stage's number is not looked at: it stays)."""

    selection: Selection
    views: Annotated[int, Field(ge=1)] = 1


_ERNIE = tuple(Stage(FixedCount(unit=unit)) for unit in ("piece", "phrase|word", "entity|phrase|word"))


@dataclass(frozen=True)
class Staged(Selection):
    """Promise, budget and marginal are stated for all stages together: the weakest promise, the first
    stage's budget; so stages of different rates keep them only one by one (`at`).

    >>> stages = Staged((Stage(FixedCount("piece"), views=2), Stage(FixedCount("word"))))
    >>> [stages.at(view).unit for view in (0, 1, 2, 9)]
    ['piece', 'piece', 'word', 'word']
    """

    stages: tuple[Stage, ...] = _ERNIE

    def __post_init__(self) -> None:
        if not self.stages:
            raise UserError("staged names no stage; give at least one selection with its number of views")

    def at(self, view: int) -> Selection:
        """The law of this view."""
        for stage in self.stages[:-1]:
            if view < stage.views:
                return stage.selection
            view -= stage.views
        return self.stages[-1].selection

    @property
    def promise(self) -> Promise:
        made = {stage.selection.promise for stage in self.stages}
        if made == {"exact"}:
            return "exact"
        return "expected" if "expected" in made else "at_most"

    @property
    def counts_pieces(self) -> bool:
        return all(stage.selection.counts_pieces for stage in self.stages)

    @property
    def is_flat(self) -> bool:
        return all(stage.selection.is_flat for stage in self.stages)

    @property
    def has_gaps(self) -> bool:
        return any(stage.selection.has_gaps for stage in self.stages)

    @property
    def has_rank(self) -> bool:
        return all(stage.selection.has_rank for stage in self.stages)

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        return self.stages[0].selection.budget(sizes)

    def likely_most(self, size: int) -> int:
        return max(stage.selection.likely_most(size) for stage in self.stages)

    def most_spans(self, size: int) -> int:
        return max(stage.selection.most_spans(size) for stage in self.stages)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        return self.at(noise.view)(rows, noise)
