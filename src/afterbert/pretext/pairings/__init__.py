"""Which texts stand together in a row?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.text.token_store.store import Split


class Plan(ABC):
    """All rows of one view of a split, by number. Small arrays only: the texts stay in the memory-mapped store."""

    @abstractmethod
    def __len__(self) -> int:
        """How many rows this view has."""

    @abstractmethod
    def rows(self, numbers: np.ndarray) -> Rows:
        """Returns the rows with these numbers [B], in any order, with special pieces in place, never longer than the
        plan's length. Their planes are those of the store, and: `special`; `segment` (uint8: 0 first text, 1 second);
        `document` (int32: number of the document within its row; a special piece belongs to the text before it, an
        opening one to the first); `count` (int64: how often the piece occurs in the split; 0 for special ones);
        `language` (uint8), where the split tells languages; and `reused` (bool: the pieces before the next row), where
        the next row begins inside this one. A row's key is a pure function of store and number."""

    def goes_on(self, numbers: np.ndarray) -> np.ndarray:
        """Tells which of these rows [B] begin where the row numbered one less ends, or, where rows have a plane
        `reused`, where its reused part ends: bool [B]. What a model remembers is the text directly before those."""
        return np.zeros(len(numbers), dtype=bool)

    def mirrored(self) -> Plan:
        """Returns the rows for reading the text from its end to its start: pieces and row numbers stay as they are, but
        row n + 1 counts as lying before row n."""
        return _LastFirst(self)

    def labels(self, numbers: np.ndarray) -> np.ndarray | None:
        """Returns the pair label of these rows, int64 [B]; None if the pairing asks no such question."""
        return None

    def batches(self) -> Sequence[np.ndarray] | None:
        """Returns the numbers of the rows [B] that form each update, every row in one of them, when the plan decides
        this itself (rows of one task and of similar length); None leaves it to the feed. Called often: keep it."""
        return None


class _LastFirst(Plan):
    """The rows of a plan, numbered from its last to its first."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def __len__(self) -> int:
        return len(self.plan)

    def rows(self, numbers: np.ndarray) -> Rows:
        return self.plan.rows(len(self) - 1 - numbers)

    def goes_on(self, numbers: np.ndarray) -> np.ndarray:
        return (numbers > 0) & self.plan.goes_on((len(self) - numbers) % max(1, len(self)))

    def labels(self, numbers: np.ndarray) -> np.ndarray | None:
        return self.plan.labels(len(self) - 1 - numbers)


class Pairing(ABC):
    """A way to cut and join texts into rows. Stateless; `plan` does whatever is sequential once a view."""

    #: the name of the pair question (`next_sentence`, `sentence_order`), or None
    question: ClassVar[str | None] = None

    @property
    def num_specials(self) -> int:
        """Special pieces that every row has."""
        return 2

    @property
    def has_inner_specials(self) -> bool:
        """Whether special pieces may also stand between pieces of text."""
        return True

    @property
    def goes_on(self) -> bool:
        """Whether rows go on where the row before ends, so that a model may remember that one (`Plan.goes_on`)."""
        return False

    def check_text(self, split: Split) -> None:
        """Raises UserError if the texts lack what rows are made of; called before a run begins."""

    @abstractmethod
    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        """Returns the rows of `split` with at most `length` pieces each, special ones included. `noise` carries the
        view."""
