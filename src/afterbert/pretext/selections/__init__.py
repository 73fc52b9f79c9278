"""Which pieces are chosen? A unit (a plane), a law, a rate."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.stages import Stages

Promise = Literal["exact", "at_most", "expected"]


@dataclass(frozen=True)
class Marks:
    """M spans in order, the empty ones among them: where they begin, int64 [M], and which are empty, bool [M]."""

    positions: np.ndarray
    is_gap: np.ndarray

    def numbers(self, rows: Rows) -> np.ndarray:
        """Returns the number of each mark within its row, int64 [M]."""
        first = np.searchsorted(self.positions, rows.row_starts)
        return np.arange(len(self.positions)) - np.repeat(first[:-1], np.diff(first))


@dataclass(frozen=True)
class Chosen:
    """The decision, which travels as it is all the way to the loss.

    positions: int64 [N], flat into the rows, sorted, without repetition, never special; spans: int64 [N], number of
    the span (rising with position from 0; two neighbouring spans keep two numbers; the pieces of a span are
    neighbours). gaps: int64 [M], sorted, may repeat: an empty span stands just before each of these flat positions
    (BART's zero lengths). rank: int64 [T] or None: a factorization order, equal ranks see each other (XLNet).
    """

    positions: np.ndarray
    spans: np.ndarray
    gaps: np.ndarray = field(default_factory=partial(np.zeros, 0, np.int64))
    rank: np.ndarray | None = None

    @cached_property
    def begins(self) -> np.ndarray:
        """int64 [spans]: which of `positions` begin a span."""
        is_first = np.ones(len(self.spans), dtype=bool)
        np.not_equal(self.spans[1:], self.spans[:-1], out=is_first[1:])
        return np.flatnonzero(is_first)

    @cached_property
    def marks(self) -> Marks:
        """All spans in order. An empty one stands before a full one that begins at the same place."""
        first = self.positions[self.begins]
        is_gap = np.zeros(len(first) + len(self.gaps), dtype=bool)
        if not len(self.gaps):
            return Marks(first, is_gap)
        is_gap[np.searchsorted(first, self.gaps) + np.arange(len(self.gaps))] = True
        positions = np.empty(len(is_gap), dtype=np.int64)
        positions[is_gap], positions[~is_gap] = self.gaps, first
        return Marks(positions, is_gap)


class Selection(ABC):
    """A law of choice. It states its budget over the row's ordinary pieces (or units): `exact`, `at_most` (short by
    less than one unit), or `expected`; and whether every ordinary piece is equally likely (`is_flat`). The contract
    test holds it to both."""

    @property
    def promise(self) -> Promise:
        """How the number of chosen pieces relates to `budget`."""
        return "exact"

    @property
    def counts_pieces(self) -> bool:
        """Whether the budget counts pieces; otherwise it counts units."""
        return True

    @property
    def is_flat(self) -> bool:
        """Whether every ordinary piece of a row is chosen with the same probability."""
        return False

    @property
    def has_gaps(self) -> bool:
        """Whether empty spans may be chosen."""
        return False

    @property
    def has_rank(self) -> bool:
        """Whether a factorization order comes with the choice."""
        return False

    @property
    def course(self) -> Stages | None:
        """The stages that the law goes through in a run; the noise's `progress` says which. None for a law that
        stays."""
        return None

    @abstractmethod
    def budget(self, sizes: np.ndarray) -> np.ndarray:
        """Returns how many of `sizes` [B] ordinary pieces (or units) a row's choice should hold; a mean where
        `expected`."""

    def likely_most(self, size: int) -> int:
        """Returns the most pieces chosen, in all but one row in a million, of `size` ordinary pieces."""
        is_known = self.promise != "expected" and self.counts_pieces
        return int(self.budget(np.array([size]))[0]) if is_known else size

    def most_spans(self, size: int) -> int:
        """Returns the most spans, empty ones included, in a row of `size` ordinary pieces without special ones between
        them."""
        is_known = self.promise != "expected" and self.counts_pieces
        return int(self.budget(np.array([size]))[0]) if is_known else size

    @abstractmethod
    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        """Chooses in every row independently, as a pure function of the row, its key and the noise."""
