"""What a pretext task hands to an objective: the rows shown, who may see whom, and what is asked."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from afterbert.base.rows import Rows
from afterbert.base.visibility import Visibility
from afterbert.pretext.corruptions import Corruption
from afterbert.pretext.selections import Chosen


@dataclass(frozen=True)
class AskedInPlace:
    """The question which piece belongs at these places of the shown rows.

    positions: int64 [N], flat into the shown rows, sorted; target_ids: int32 [N]; spans: int64 [N], number of
    the span each belongs to (global in the batch; never falls); ahead: the place asked about lies so many
    pieces further on (1 in a left-to-right task, which asks at position i for piece i + 1).
    """

    positions: np.ndarray
    target_ids: np.ndarray
    spans: np.ndarray
    ahead: int = 0


@dataclass(frozen=True)
class WrittenText:
    """Write this text: `target` rows, as many as shown rows, for a decoder; the decoder's own input is the
    target shifted right.

    places: int64 [T of target], where in its original row each piece stood; a mark stands where its span begins, an
    end piece after the last (MASS tells its decoder; others count from 0). None: each stands where it stood.
    """

    target: Rows
    places: np.ndarray | None = None


@dataclass(frozen=True)
class Places:
    """Yes or no at these pieces of the shown rows: positions int64 [N], sorted; labels int8 [N]; `name` of the question
    (deleted, inserted, replaced)."""

    name: str
    positions: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Pointers:
    """A question that is answered by pointing: from the pieces `positions` int64 [N], sorted, point to `targets` int64
    [N] (both flat into the shown rows, the same row) among the row's `candidates` (bool [T]). `name` of the question
    (sentence_order, true_start)."""

    name: str
    positions: np.ndarray
    targets: np.ndarray
    candidates: np.ndarray


@dataclass(frozen=True)
class RowLabels:
    """One label a row: labels int64 [B] in [0, num_labels); -1 asks nothing of that row. `name`: next_sentence,
    sentence_order."""

    name: str
    labels: np.ndarray
    num_labels: int


Asked = AskedInPlace | WrittenText | Places | Pointers | RowLabels


@dataclass(frozen=True)
class Step:
    """One edit as it happened: what was chosen in the rows before, what the rows were after, and which place of the
    rows before each piece after stands for (origin, -1 for none)."""

    before: Rows
    chosen: Chosen
    after: Rows
    origin: np.ndarray
    corruption: Corruption

    @property
    def keeps_places(self) -> bool:
        """Whether every piece stands where it stood."""
        return self.corruption.keeps_places

    @cached_property
    def stands_at(self) -> np.ndarray:
        """int64 [T before + 1]: where each piece before stands after; -1 if it is gone, and behind the last."""
        found = np.full(self.before.num_pieces + 1, -1)
        found[self.origin] = np.arange(len(self.origin))
        found[-1] = -1
        return found


@dataclass(frozen=True)
class Posed:
    """One batch as a task: what is read, who sees whom, the questions, and where each shown piece came from.

    origin: int64 [T shown], the flat position in `original` that each shown piece stands for, -1 for pieces that stand
    for none (inserted, or one mask for a span). steps: the edits, first to last. labels: int64 [B] or None, and the
    name of the question they answer, both the pairing's.
    """

    shown: Rows
    visibility: Visibility
    origin: np.ndarray
    original: Rows
    steps: tuple[Step, ...]
    labels: np.ndarray | None = None
    question: str | None = None
    asked: tuple[Asked, ...] = ()

    def places_now(self, number: int, positions: np.ndarray) -> np.ndarray:
        """Returns where the pieces at these flat positions of the rows *before* step `number` stand in the shown rows,
        int64 [N]; -1 if gone."""
        now = positions
        for step in self.steps[number:]:
            if not step.keeps_places:
                now = step.stands_at[now]
        return now

    def places_first(self, number: int, positions: np.ndarray) -> np.ndarray:
        """Returns the flat positions of `original`, int64 [N], that these positions of the rows *before* step `number`
        stand for; -1 for none."""
        first = positions
        for step in reversed(self.steps[:number]):
            if not step.keeps_places:
                first = np.where(first < 0, -1, step.origin[first])
        return first
