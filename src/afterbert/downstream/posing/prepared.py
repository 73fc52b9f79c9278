"""A split as rows with labels, and any selection of it as a padded batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.base.visibility import Visibility
from afterbert.downstream.example import Example
from afterbert.downstream.posing.writing import ToWrite
from afterbert.downstream.tasks import Task
from afterbert.nn.visibility import padded_visibility
from afterbert.objectives import Batch


@dataclass(frozen=True)
class Prepared:
    """Examples of a task as U units of one or more rows each; a unit is trained on whole (an example, or a window of
    one).

    unit_starts: int64 [U+1], into the rows. example_of: int64 [U], the example each unit comes from. asked: int64 [U],
    how many things each unit asks (0: nothing to learn from it). row_arrays: name -> [R], one value a row. planes:
    names of the rows' planes that a batch holds, with what fills them up. cut: examples that lost pieces to the length.
    to_write: the text that answers each row, where texts are written.
    """

    task: Task
    examples: Sequence[Example]
    rows: Rows
    unit_starts: np.ndarray
    example_of: np.ndarray
    asked: np.ndarray
    row_arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    planes: Mapping[str, int] = field(default_factory=dict)
    cut: int = 0
    to_write: ToWrite | None = None

    def __len__(self) -> int:
        return len(self.example_of)

    @cached_property
    def costs(self) -> np.ndarray:
        """int64 [U]: the pieces of each unit's longest row, by which units are put into batches."""
        if not len(self):
            return np.zeros(0, dtype=np.int64)
        lengths = self.rows.lengths
        if self.to_write is not None:
            lengths = lengths + self.to_write.targets.lengths
        return np.maximum.reduceat(lengths, self.unit_starts[:-1])

    def select(self, units: np.ndarray) -> Rows:
        """Returns the rows of these units, in this order."""
        numbers = self.row_numbers(units)
        lengths = self.rows.lengths[numbers]
        index = ranges(self.rows.row_starts[numbers], lengths)
        cut = Rows(self.rows.piece_ids, self.rows.row_starts, self.rows.keys[numbers], self.rows.planes)
        return cut.take(index, starts_of(lengths))

    def row_numbers(self, units: np.ndarray) -> np.ndarray:
        """Returns the rows of these units, int64."""
        return ranges(self.unit_starts[units], np.diff(self.unit_starts)[units])

    def batch(self, units: np.ndarray, *, pad: int, has_segments: bool, name: str) -> Batch:
        """Returns these units as a batch of the task `name`: a padded matrix as wide as the longest row.

        Arrays: `input_ids` [B, T], `token_type_ids` where the model has segments, the visibility's, `last`
        [B] (place of each row's last piece), `unit_of` [B], `task/NAME` (empty: says whose batch it is), and
        the row arrays and planes, and those of the text to write.
        """
        rows = self.select(units)
        numbers = self.row_numbers(units)
        width = int(rows.lengths.max(initial=1))
        arrays = {
            "input_ids": rows.padded(rows.piece_ids, fill=pad, length=width).astype(np.int64),
            "last": np.maximum(rows.lengths - 1, 0),
            "unit_of": np.repeat(np.arange(len(units)), np.diff(self.unit_starts)[units]),
            f"task/{name}": np.zeros(0, dtype=bool),
        }
        if has_segments and rows.planes["segment"].any():
            arrays["token_type_ids"] = rows.padded(rows.planes["segment"], fill=0, length=width).astype(np.int64)
        if "language" in rows.planes:
            arrays["language_ids"] = rows.padded(rows.planes["language"], fill=0, length=width).astype(np.int64)
        arrays |= padded_visibility(Visibility(), rows, length=width)
        arrays |= {key: values[numbers] for key, values in self.row_arrays.items()}
        for plane, fill in self.planes.items():
            arrays[plane] = rows.padded(rows.planes[plane], fill=fill, length=width)
        num_pieces = rows.num_pieces
        if self.to_write is not None:
            arrays |= self.to_write.arrays(numbers, pad=pad)
            num_pieces += int(self.to_write.targets.lengths[numbers].sum())
        return Batch(arrays, {name: int(self.asked[units].sum())}, num_pieces, rows.keys)


def one_row_each(task: Task, examples: Sequence[Example], rows: Rows, *, asked: np.ndarray, **extra: Any) -> Prepared:
    """Returns units of one row, one for each example."""
    every = np.arange(len(rows))
    return Prepared(task, examples, rows, np.arange(len(rows) + 1), every, asked.astype(np.int64), **extra)


def in_batches(costs: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Returns units in batches of about equal cost."""
    by_cost = np.argsort(costs, kind="stable")
    return [by_cost[start : start + batch_size] for start in range(0, len(by_cost), batch_size)]
