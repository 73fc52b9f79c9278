"""What is shown in place of the chosen pieces?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class Shown:
    """rows: what the model reads (planes follow their pieces); origin: int64 [T of rows], the flat position in the rows before, or -1."""

    rows: Rows
    origin: np.ndarray


class Corruption(ABC):
    """An edit of the rows. Special pieces stay what and, relative to each other, where they are."""

    keeps_length: bool = True

    @abstractmethod
    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        """The edited rows. A pure function of its arguments."""
