"""Which texts stand together in a row?"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.text.store import Split


class Plan(ABC):
    """All rows of one view of a split, by number. Small arrays only: the texts stay in the memory-mapped store."""

    @abstractmethod
    def __len__(self) -> int:
        """How many rows this view has."""

    @abstractmethod
    def rows(self, numbers: np.ndarray) -> Rows:
        """The rows with these numbers [B], specials in place, never longer than the plan's length. Planes: those of the
        store, and `special`, `segment` (uint8: 0 first text, 1 second), `document_start`. A row's key is a pure function of
        plan and number. Pair tasks add the row plane values they need to `labels` below."""

    def labels(self, numbers: np.ndarray) -> np.ndarray | None:
        """int64 [B], the pair label of these rows; None where the pairing asks no such question."""
        return None


class Pairing(ABC):
    """A way to cut and join texts into rows. Stateless; `plan` does whatever is sequential once a view."""

    #: the name of the pair question (`next_sentence`, `sentence_order`), or None
    question: str | None = None

    @abstractmethod
    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        """The rows of `split` with at most `length` pieces each, specials included. `noise` carries the view."""
