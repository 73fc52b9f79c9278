"""What laws of choice share: from units to positions with spans, and spans strewn over a row."""

from dataclasses import replace
from typing import Literal

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, flags_at, ranges, starts_of
from afterbert.pretext.draws import subset
from afterbert.pretext.selections import Chosen, Selection
from afterbert.pretext.units import Units, ordinary_counts

Rounding = Literal["nearest", "up"]


def share(rate: float, sizes: np.ndarray, rounding: Rounding = "nearest") -> np.ndarray:
    """Returns `rate` of `sizes` [B], int64 [B], rounded to the nearest integer (halves to even, as Python's `round`),
    but at least 1 of what is there and at most all of it. `up` rounds up instead (SpanBERT's release).

    BERT's `max(1, round(0.15 * n))`, for all laws; an empty row's share is 0.

    >>> share(0.15, np.array([0, 1, 5, 10, 100])).tolist()
    [0, 1, 1, 2, 15]
    """
    sizes = np.asarray(sizes, dtype=np.int64)
    # the guard keeps 0.15 * 20 = 3.0000000000000004 from rounding up to 4
    wanted = np.rint(rate * sizes) if rounding == "nearest" else np.ceil(rate * sizes - 1e-9)
    return np.clip(wanted.astype(np.int64), np.minimum(sizes, 1), sizes)


class Rated(Selection):
    """A law whose budget is a share of what there is."""

    rate: float | None

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        assert self.rate is not None
        return share(self.rate, sizes)


class RatedUnits(Rated):
    """A law whose budget counts units, whatever pieces these have."""

    unit: str

    @property
    def counts_pieces(self) -> bool:
        return self.unit == "piece"


def spanned(positions: np.ndarray, begins: np.ndarray | None, rows: Rows) -> Chosen:
    """Returns sorted flat positions [N] as a choice. `begins` bool [N]: where a new span certainly begins (None:
    nowhere). A span also begins where the piece before is not chosen or stands in another row."""
    starts = np.ones(len(positions), dtype=bool)
    starts[1:] = positions[1:] != positions[:-1] + 1
    if begins is not None:
        starts |= begins
    first = np.searchsorted(positions, rows.row_starts[:-1])
    starts[first[first < len(positions)]] = True
    return Chosen(positions, np.cumsum(starts) - 1)


def collected(units: Units, index: np.ndarray, rows: Rows, begins: np.ndarray | None = None) -> Chosen:
    """Returns the pieces of the units `index` [N] (sorted) as a choice. `begins` bool [N]: whether a span begins with
    this unit (None: with each)."""
    if begins is None:
        return Chosen(units.pieces(index), np.repeat(np.arange(len(index)), units.lengths[index]))
    positions = units.pieces(index)
    if units.are_pieces:
        return spanned(positions, begins, rows)
    at_piece = flags_at(starts_of(units.lengths[index])[:-1][begins], len(positions))
    return spanned(positions, at_piece, rows)


def budgets_of(selection: Selection, rows: Rows, units: Units) -> np.ndarray:
    """Returns how many pieces to choose, int64 [B]: the selection's budget over all ordinary pieces, or all that the
    units hold."""
    budgets = selection.budget(ordinary_counts(rows))
    return budgets if units.cover_all else np.minimum(budgets, units.sizes)


def strewn(units: Units, rows: Rows, noise: Noise, lengths: np.ndarray, counts: np.ndarray) -> Chosen:
    """Returns spans of these `lengths` [sum of counts] (units; zeros are gaps; `counts` [B] for each row), placed
    between the remaining units uniformly at random, without overlap."""
    offsets, before = starts_of(counts), starts_of(lengths)
    taken = before[offsets[1:]] - before[offsets[:-1]]
    slots = subset(noise, rows.keys, units.counts - taken + counts, counts, offsets[:-1] + units.row_starts[:-1])
    row = np.repeat(np.arange(len(rows)), counts)
    starts = slots - np.arange(len(slots))  # without the spans before ...
    starts += before[:-1] - before[offsets[row]]  # ... but with their units
    index = ranges(starts, lengths)
    begins = flags_at(before[:-1][lengths > 0], len(index))
    chosen = collected(units, index, rows, begins)
    is_gap = lengths == 0
    if not is_gap.any():
        return chosen
    return replace(chosen, gaps=_gaps(units, rows, noise, chosen, starts[is_gap], row[is_gap]))


def _gaps(units: Units, rows: Rows, noise: Noise, chosen: Chosen, before: np.ndarray, row: np.ndarray) -> np.ndarray:
    """The flat positions of empty spans just before these units [M] of these rows; after a row's last unit, of the
    piece that follows, or of that unit if none does. No row keeps more of them than its other spans save in length."""
    is_end = before == units.row_starts[row + 1]
    unit = before - is_end
    end = units.starts[unit] + units.lengths[unit]
    gaps = np.where(is_end & (end < rows.row_starts[row + 1]), end, units.starts[unit])
    pieces = np.diff(np.searchsorted(chosen.positions, rows.row_starts))
    spans = np.diff(np.searchsorted(chosen.positions[chosen.begins], rows.row_starts))
    in_row = np.arange(len(row)) - np.searchsorted(row, row)
    if (in_row < (pieces - spans)[row]).all():
        return gaps
    chances = noise.of("gaps").bits(rows.keys[row], in_row)
    kept = np.lexsort((chances, row))[in_row < (pieces - spans)[row]]
    return gaps[np.sort(kept)]


def cut_last(lengths: np.ndarray, budgets: np.ndarray, rows: Rows, noise: Noise) -> tuple[np.ndarray, np.ndarray]:
    """Returns each line of drawn `lengths` [B, W] up to where its sum reaches the budget [B]. The last one is cut to
    meet it exactly and moved to a random place in the line, so that cut ones do not gather at the end of the row.

    Returns the lengths in one array and how many each row has [B]. The lines must reach their budgets.
    """
    total = np.cumsum(lengths, axis=1)
    counts = np.where(budgets > 0, (total < budgets[:, None]).sum(axis=1) + 1, 0)
    lines = np.flatnonzero(counts)
    last = counts[lines] - 1
    lengths = lengths.copy()
    lengths[lines, last] -= total[lines, last] - budgets[lines]
    other = noise.of("cut").integers(counts, rows.keys)[lines]
    lengths[lines, last], lengths[lines, other] = lengths[lines, other], lengths[lines, last]
    return lengths[np.arange(lengths.shape[1]) < counts[:, None]], counts


def split_counts(sizes: np.ndarray, rate: float | None, keys: np.ndarray, noise: Noise) -> np.ndarray:
    """Returns how many of `sizes` [B] lie on one side of a split that leaves neither side empty, int64 [B]: the share
    of `rate`, or, for None, a number drawn uniformly from 1 to size - 1. Rows of fewer than two are not split: 0."""
    if rate is None:
        return np.where(sizes > 1, 1 + noise.integers(np.maximum(sizes - 1, 0), keys), 0)
    return np.minimum(share(rate, sizes), np.maximum(sizes - 1, 0))
