"""Staged: one law of choice after another, each for its share of the run.

Source: ERNIE 1.0 (1904.09223) Section 3.2: basic masking first, then phrases, then entities, all at the same
rate. The paper does not say how long a stage lasts.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.rows import Rows
from afterbert.base.stages import Stages
from afterbert.pretext.selections import Chosen, Promise, Selection
from afterbert.pretext.selections.fixed_count import FixedCount


@dataclass(frozen=True)
class Stage:
    """A law of choice."""

    selection: Selection
    share: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """How long it lasts, relative to the shares of the other stages."""


_ERNIE = tuple(Stage(FixedCount(unit=unit)) for unit in ("piece", "phrase|word", "entity|phrase|word"))


@dataclass(frozen=True)
class Staged(Selection):
    """Promise, budget and marginal are stated for all stages together: the weakest promise, which of different rates is
    `at_most`, and the largest budget.

    >>> stages = Staged((Stage(FixedCount("piece"), share=2), Stage(FixedCount("word"))))
    >>> [stages.at(progress).unit for progress in (0.0, 0.6, 0.7, 1.0)]
    ['piece', 'piece', 'word', 'word']
    >>> falling = Staged((Stage(FixedCount(rate=0.4), share=3), Stage(FixedCount(rate=0.15))))
    >>> falling.course.names
    ('fixed_count of piece at 40%', 'fixed_count of piece at 15%')
    """

    stages: tuple[Stage, ...] = _ERNIE

    def __post_init__(self) -> None:
        if not self.stages:
            raise UserError("staged names no stage; give at least one selection with its share of the run")

    @property
    def course(self) -> Stages:
        names = tuple(_named(stage.selection, len(self._rates) > 1) for stage in self.stages)
        return Stages("selection staged", names, tuple(stage.share for stage in self.stages))

    @property
    def _rates(self) -> set[float | None]:
        return {getattr(stage.selection, "rate", None) for stage in self.stages}

    def at(self, progress: float) -> Selection:
        """Returns the law that holds when this share of the run is done."""
        return self.stages[self.course.at(progress)].selection

    @property
    def promise(self) -> Promise:
        made = {stage.selection.promise for stage in self.stages}
        if made == {"exact"} and len(self._rates) == 1:
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
        return np.maximum.reduce([stage.selection.budget(sizes) for stage in self.stages])

    def likely_most(self, size: int) -> int:
        return max(stage.selection.likely_most(size) for stage in self.stages)

    def most_spans(self, size: int) -> int:
        return max(stage.selection.most_spans(size) for stage in self.stages)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        return self.at(noise.progress)(rows, noise)


def _named(law: Selection, tells_rate: bool) -> str:
    """A law as a user knows it, its rate where that is what stages differ in."""
    unit, rate = getattr(law, "unit", ""), getattr(law, "rate", None)
    of = f" of {unit}" if unit else ""
    return f"{name_of(law)}{of}" + (f" at {100 * rate:g}%" if tells_rate and rate is not None else "")
