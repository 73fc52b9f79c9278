"""Units: what a law of choice takes as a whole (pieces, words, sentences, phrases, entities), read from the
planes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows, ranges


@dataclass(frozen=True)
class Units:
    """U units in B rows, in order. starts, lengths: int64 [U], flat pieces; row_starts: int64 [B+1], units
    before each row.

    No unit holds a special piece or leaves its row.

    """

    starts: np.ndarray
    lengths: np.ndarray
    row_starts: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 [B]: units in each row."""
        return np.diff(self.row_starts)

    def pieces(self, index: np.ndarray) -> np.ndarray:
        """int64: the flat positions of these units [N], unit by unit."""
        return ranges(self.starts[index], self.lengths[index])


def is_ordinary(rows: Rows) -> np.ndarray:
    """bool [T]: pieces a law may choose: neither special nor already hidden by an earlier edit (plane
    `hidden`).
    """
    hidden = rows.planes.get("hidden")
    special = rows.planes["special"]
    return ~special if hidden is None else ~(special | hidden)


def ordinary_counts(rows: Rows) -> np.ndarray:
    """int64 [B]: ordinary pieces in each row."""
    return np.diff(np.searchsorted(np.flatnonzero(is_ordinary(rows)), rows.row_starts))


def needed_plane(rows: Rows, name: str) -> np.ndarray:
    """A plane that a task cannot do without. Raises UserError when the store has not recorded it."""
    if name not in rows.planes:
        known = ", ".join(sorted(rows.planes))
        raise UserError(
            f"this task needs the plane '{name}', which the token store has not (it has: {known}); add it with "
            f"`afterbert prepare --add-plane {name.removesuffix('_start').removesuffix('_inside')}`"
        )
    return rows.planes[name]


def units_of(rows: Rows, unit: str) -> Units:
    """The units of these rows. `piece`: every ordinary piece. Any other name reads the plane `<name>_start`;
    where a plane `<name>_inside` stands beside it, the units cover only part of the text and the rest belongs
    to none.

    `entity|phrase|word` takes entities, then phrases in what they leave over, then words. A unit ends at a
    special piece.

    >>> rows = Rows.of("[CLS] un ##believ ##able ! [SEP]")
    >>> units = units_of(rows, "word")
    >>> units.starts.tolist(), units.lengths.tolist(), units.row_starts.tolist()
    ([1, 4], [3, 1], [0, 2])

    """
    free = is_ordinary(rows)
    if unit == "piece":
        return _grouped(rows, np.flatnonzero(free), None)
    begins = np.zeros(rows.num_pieces, dtype=bool)
    layer = np.zeros(rows.num_pieces, dtype=np.int8)
    for number, name in enumerate(unit.split("|"), start=1):
        covered = free & _covers(rows, name)
        free &= ~covered
        layer[covered] = number
        begins |= covered & (True if name == "piece" else needed_plane(rows, f"{name}_start"))
    begins[1:] |= layer[1:] != layer[:-1]
    begins[rows.row_starts[:-1][rows.lengths > 0]] = True
    return _grouped(rows, np.flatnonzero(begins | (layer == 0)), layer > 0)


def _covers(rows: Rows, name: str) -> np.ndarray | bool:
    if name == "piece" or f"{name}_inside" not in rows.planes:
        return np.ones(rows.num_pieces, dtype=bool)
    return (needed_plane(rows, f"{name}_start") | rows.planes[f"{name}_inside"]).astype(bool)


def _grouped(rows: Rows, starts: np.ndarray, in_unit: np.ndarray | None) -> Units:
    """Units from the flat positions where units (or, where not `in_unit`, gaps between units) begin."""
    if in_unit is None:
        lengths = np.ones(len(starts), dtype=np.int64)
    else:
        lengths = np.diff(starts, append=rows.num_pieces)
        is_unit = in_unit[starts]
        starts, lengths = starts[is_unit], lengths[is_unit]
    return Units(starts, lengths, np.searchsorted(starts, rows.row_starts))
