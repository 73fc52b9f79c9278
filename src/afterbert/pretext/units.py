"""Units: what a law of choice takes as a whole (pieces, words, sentences, phrases, entities), read from the planes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows, ranges


@dataclass(frozen=True)
class Units:
    """U units in B rows, in order. starts, lengths: int64 [U], flat pieces; row_starts: int64 [B+1], units before each
    row. No unit holds a special piece or leaves its row. are_pieces: every unit is a single piece; cover_all: every
    ordinary piece is in one."""

    starts: np.ndarray
    lengths: np.ndarray
    row_starts: np.ndarray
    are_pieces: bool = False
    cover_all: bool = False

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 [B]: units in each row."""
        return np.diff(self.row_starts)

    @cached_property
    def sizes(self) -> np.ndarray:
        """int64 [B]: pieces in each row's units."""
        ends = np.append(0, np.cumsum(self.lengths))
        return np.diff(ends[self.row_starts])

    @cached_property
    def row_of(self) -> np.ndarray:
        """int64 [U]: the row each unit stands in."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def run_ends(self) -> np.ndarray:
        """int64 [U]: for each unit, the number of the first later unit that does not follow on directly."""
        if not len(self.starts):
            return self.starts
        broken = np.ones(len(self.starts), dtype=bool)
        broken[1:] = self.starts[1:] != self.starts[:-1] + self.lengths[:-1]
        broken[self.row_starts[:-1][self.counts > 0]] = True
        begins = np.flatnonzero(broken)
        return np.repeat(np.append(begins[1:], len(broken)), np.diff(begins, append=len(broken)))

    def pieces(self, index: np.ndarray) -> np.ndarray:
        """Returns the flat positions of these units [N], int64, unit by unit."""
        return self.starts[index] if self.are_pieces else ranges(self.starts[index], self.lengths[index])


def is_ordinary(rows: Rows) -> np.ndarray:
    """Returns which pieces a law may choose, bool [T]: those that are neither special, nor unknown (plane `unknown`),
    nor already hidden by an earlier edit (plane `hidden`)."""
    others = rows.planes["special"]
    for name in ("unknown", "hidden"):
        if name in rows.planes:
            others = others | rows.planes[name]
    return ~others


def ordinary_counts(rows: Rows) -> np.ndarray:
    """Returns the number of ordinary pieces in each row, int64 [B]."""
    return rows.lengths - np.diff(np.searchsorted(np.flatnonzero(~is_ordinary(rows)), rows.row_starts))


def needed_plane(rows: Rows, name: str) -> np.ndarray:
    """Returns a plane that a task needs. Raises UserError if the store has not recorded it."""
    if name not in rows.planes:
        known, plane = ", ".join(sorted(rows.planes)), name.removesuffix("_start").removesuffix("_inside")
        listed = {"phrase": " --phrases FILE", "entity": " --entities FILE"}.get(plane, "")
        raise UserError(
            f"this task needs the plane '{name}', which the token store has not (it has: {known}); add it with "
            f"`afterbert prepare TEXTS --add-plane {plane}{listed}`"
        )
    return rows.planes[name]


def units_of(rows: Rows, unit: str) -> Units:
    """Returns the units of these rows. `piece`: every ordinary piece. Any other name reads the plane `<name>_start`.
    Where a plane `<name>_inside` stands beside it, the units cover only part of the text and the rest belongs to none.

    `entity|phrase|word` takes entities, then phrases in what they leave over, then words. A unit ends at a special
    piece.

    >>> rows = Rows.of("[CLS] un ##believ ##able ! [SEP]")
    >>> units = units_of(rows, "word")
    >>> units.starts.tolist(), units.lengths.tolist(), units.row_starts.tolist()
    ([1, 4], [3, 1], [0, 2])
    """
    if unit == "piece":
        starts = np.flatnonzero(is_ordinary(rows))
        return Units(
            starts, np.broadcast_to(np.int64(1), len(starts)), np.searchsorted(starts, rows.row_starts), True, True
        )
    if "|" not in unit and f"{unit}_inside" not in rows.planes:
        return _covering(rows, needed_plane(rows, f"{unit}_start"))
    free = is_ordinary(rows)
    begins = np.zeros(rows.num_pieces, dtype=bool)
    layer = np.zeros(rows.num_pieces, dtype=np.int8)
    for number, name in enumerate(unit.split("|"), start=1):
        covered = free & _covers(rows, name)
        free &= ~covered
        layer[covered] = number
        begins |= covered & (True if name == "piece" else needed_plane(rows, f"{name}_start").astype(bool))
    return _runs(rows, begins, layer)


def _covering(rows: Rows, plane: np.ndarray) -> Units:
    """Units that cover all ordinary pieces, from where they start; one also starts with a row and after a piece that is
    not ordinary."""
    others = np.flatnonzero(~is_ordinary(rows))  # few
    begins = np.append(plane, False).astype(bool)
    begins[rows.row_starts] = True
    begins[others + 1] = True
    begins[others] = False
    starts = np.flatnonzero(begins[:-1])
    lengths = np.diff(starts, append=rows.num_pieces)
    of_unit = np.searchsorted(starts, others) - 1
    last_first = np.flatnonzero(of_unit >= 0)[::-1]  # so that of several the one nearest to its unit counts
    lengths[of_unit[last_first]] = (others - starts[of_unit])[last_first] if len(starts) else 0
    return Units(starts, lengths, np.searchsorted(starts, rows.row_starts), cover_all=True)


def sentences_of(rows: Rows) -> Units:
    """Returns the sentences of these rows, hidden pieces included. They end at special pieces and ends of documents."""
    return _runs(rows, needed_plane(rows, "sentence_start").astype(bool), _documents(rows))


def stretches_of(rows: Rows) -> Units:
    """Returns the longest runs of text, hidden pieces included, with no special piece or end of a document between."""
    return _runs(rows, np.zeros(rows.num_pieces, dtype=bool), _documents(rows))


def _documents(rows: Rows) -> np.ndarray:
    """int64 [T]: 0 at special pieces, else 1 + the number of the document within the row."""
    documents = rows.planes.get("document", np.zeros(rows.num_pieces, dtype=np.int64))
    return np.where(rows.planes["special"], 0, documents.astype(np.int64) + 1)


def _covers(rows: Rows, name: str) -> np.ndarray | bool:
    if name == "piece" or f"{name}_inside" not in rows.planes:
        return True
    return (needed_plane(rows, f"{name}_start") | rows.planes[f"{name}_inside"]).astype(bool)


def _runs(rows: Rows, begins: np.ndarray, layer: np.ndarray) -> Units:
    """Units from where they begin (bool [T]) and the layer they lie in (integers [T], 0: in none); a change of layer
    and the start of a row begin one too."""
    begins = begins | (layer == 0)
    begins[1:] |= layer[1:] != layer[:-1]
    begins[rows.row_starts[:-1][rows.lengths > 0]] = True
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=rows.num_pieces)
    is_unit = layer[starts] > 0
    starts, lengths = starts[is_unit], lengths[is_unit]
    return Units(starts, lengths, np.searchsorted(starts, rows.row_starts))
