"""What a pretext task hands to an objective: the rows shown, who may see whom, and what is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from afterbert.base.rows import Rows
from afterbert.base.visibility import Visibility


@dataclass(frozen=True)
class InPlace:
    """At these pieces of the shown rows, which piece belongs here?

    positions: int64 [N], flat into the shown rows, sorted; target_ids: int32 [N]; spans: int64 [N], number of the span each belongs to
    (global in the batch, rising). A left-to-right task asks at position i for piece i + 1.
    """

    positions: np.ndarray
    target_ids: np.ndarray
    spans: np.ndarray


@dataclass(frozen=True)
class WrittenText:
    """Write this text: `target` rows, as many as shown rows, for a decoder; the decoder's own input is the target shifted right.

    `asked` (bool [T of target], or None for all): the pieces that are scored.
    """

    target: Rows
    asked: np.ndarray | None = None


@dataclass(frozen=True)
class Places:
    """Yes or no at these pieces of the shown rows: positions int64 [N]; labels int8 [N]; `name` of the question (deleted, inserted, replaced)."""

    name: str
    positions: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Pointers:
    """Which piece of the row? From the pieces `positions` int64 [N], point to `targets` int64 [N] (both flat into the shown rows, same row) among
    the row's `candidates` (bool [T]). Order of sentences: each sentence's start points to the start that follows it in the original, and so on by the answer's definition;
    true start: the row's first piece points to the original first piece."""

    name: str
    positions: np.ndarray
    targets: np.ndarray
    candidates: np.ndarray


@dataclass(frozen=True)
class RowLabels:
    """One label a row: labels int64 [B] in [0, num_labels); -1 asks nothing of that row. `name`: next_sentence, sentence_order."""

    name: str
    labels: np.ndarray
    num_labels: int


Asked = InPlace | WrittenText | Places | Pointers | RowLabels


@dataclass(frozen=True)
class Posed:
    """One batch as a task: what is read, who sees whom, the questions, and where each shown piece came from.

    origin: int64 [T shown], flat position in the original rows, -1 for pieces that stand for nothing there (inserted, or a mask for a span).
    """

    shown: Rows
    visibility: Visibility
    asked: tuple[Asked, ...]
    origin: np.ndarray
