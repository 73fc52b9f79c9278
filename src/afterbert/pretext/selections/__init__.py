"""Which pieces are chosen? A unit (a plane), a law, a rate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows

Promise = Literal["exact", "at_most", "expected"]


def _none() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Chosen:
    """The decision, which travels as it is all the way to the loss.

    positions: int64 [N], flat into the rows, sorted, without repetition, never special; spans: int64 [N], number of the span (rising with position;
    two neighbouring spans keep two numbers). gaps: int64 [M], sorted: an empty span stands just before each of these flat positions
    (BART's zero lengths). rank: int64 [T] or None: a factorization order (XLNet).
    """

    positions: np.ndarray
    spans: np.ndarray
    gaps: np.ndarray = field(default_factory=_none)
    rank: np.ndarray | None = None


class Selection(ABC):
    """A law of choice. It states its budget over the row's ordinary pieces: `exact`, `at_most` (short by less than one
    unit), or `expected`; and whether every ordinary piece is equally likely (`is_flat`). The contract test holds it to both."""

    promise: Promise = "exact"
    is_flat: bool = True

    @abstractmethod
    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        """Chooses in every row independently, as a pure function of the row, its key and the noise."""
