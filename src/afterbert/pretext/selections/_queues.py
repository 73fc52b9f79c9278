"""What laws of choice share: units and runs of units in random order, taken until a budget of pieces is spent."""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, flags_at, ranges, starts_of
from afterbert.pretext.draws import shuffled
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._spans import collected
from afterbert.pretext.units import Units


def first_come(
    starts: np.ndarray, lengths: np.ndarray, tested: np.ndarray | None, num_units: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which runs of units are taken, bool [C], and for each unit the first taken run over it, int64 [U], C
    where none is. Runs come in order; one is turned away if one of its units (or, with `tested`, its unit of that
    number) lies in a run taken before.

    starts, lengths, tested: int64 [C], in order of arrival (runs of different rows never meet, so any
    interleaving of rows will do). In rounds: a run that no earlier run still in question touches is in; a
    run that one taken touches is out; a round settles at least the first in question.
    """
    taken, open_ = np.zeros(len(starts), dtype=bool), np.arange(len(starts))
    covered = np.full(num_units, len(starts))
    while len(open_):
        cover = covered.copy()
        _lay(cover, starts, lengths, open_)
        is_in = _earliest(cover, starts, lengths, tested, open_) == open_
        taken[open_[is_in]] = True
        _lay(covered, starts, lengths, open_[is_in])
        open_ = open_[~is_in]
        open_ = open_[_earliest(covered, starts, lengths, tested, open_) > open_]
    return taken, covered


def _lay(cover: np.ndarray, starts: np.ndarray, lengths: np.ndarray, runs: np.ndarray) -> None:
    """Notes on each unit of these runs the smallest run number; assigned in falling order, so the smallest stays."""
    late_first = runs[::-1]
    units = ranges(starts[late_first], lengths[late_first])
    numbers = np.repeat(late_first, lengths[late_first])
    kept = cover[units] > numbers
    cover[units[kept]] = numbers[kept]


def _earliest(
    cover: np.ndarray, starts: np.ndarray, lengths: np.ndarray, tested: np.ndarray | None, runs: np.ndarray
) -> np.ndarray:
    if tested is not None:
        return cover[tested[runs]]
    if not len(runs):
        return runs
    return np.minimum.reduceat(cover[ranges(starts[runs], lengths[runs])], starts_of(lengths[runs])[:-1])


def walk(lengths: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """Returns what is taken, bool [B, W], by a walk along each line of `lengths` [B, W] that skips whatever no longer
    fits (and zeros).

    In rounds: a running sum takes everything up to the first item that overshoots; then whatever is larger
    than the rest of the budget can never fit again and drops out. Each round ends a line or shrinks its
    budget, so few are needed.

    >>> walk(np.array([[2, 3, 2, 1, 1]]), np.array([5])).tolist()
    [[True, True, False, False, False]]
    >>> walk(np.array([[2, 4, 2, 2, 1]]), np.array([5])).tolist()
    [[True, False, True, False, True]]
    """
    taken = np.zeros(lengths.shape, dtype=bool)
    lines, left, open_ = np.arange(len(lengths)), budgets.astype(np.int32)[:, None], lengths.astype(np.int32)
    while len(lines):
        np.copyto(open_, 0, where=open_ > left)
        fits = (open_ > 0) & (np.cumsum(open_, axis=1, dtype=np.int32) <= left)
        taken[lines] |= fits
        left = left - (open_ * fits).sum(axis=1, dtype=np.int32, keepdims=True)
        np.copyto(open_, 0, where=fits)
        goes_on = (left[:, 0] > 0) & (open_ > 0).any(axis=1)
        lines, left, open_ = lines[goes_on], left[goes_on], open_[goes_on]
    return taken


def filled(
    units: Units, keys: np.ndarray, noise: Noise, budgets: np.ndarray, is_free: np.ndarray | None = None
) -> np.ndarray:
    """Returns the units, int64, sorted, that a walk through each row's shuffled units (only the free ones, bool [U])
    takes."""
    widest = int(units.counts.max(initial=0))
    first = min(widest, int(budgets.max(initial=0)) + 16)  # here nearly every walk ends; the rest go on
    lines = np.flatnonzero(budgets > 0)
    found = []
    for width in (first, widest):
        order, taken, left = _walk_units(units, keys, noise, budgets, is_free, lines, width)
        goes_on = (left > 0) & (units.counts[lines] > width)
        found.append(order[taken & ~goes_on[:, None]])
        lines = lines[goes_on]
    return np.sort(np.concatenate(found))


def _walk_units(
    units: Units,
    keys: np.ndarray,
    noise: Noise,
    budgets: np.ndarray,
    is_free: np.ndarray | None,
    lines: np.ndarray,
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first `width` units of these lines' orders, which of them are taken, and what is left of the budgets."""
    counts = units.counts[lines]
    order = shuffled(noise, keys[lines], counts, first=width)
    is_there = np.arange(order.shape[1]) < counts[:, None]
    order += units.row_starts[:-1][lines, None]
    order[~is_there] = 0
    lengths = np.where(is_there, units.lengths[order], 0) if len(units.starts) else np.zeros_like(order)
    if is_free is not None and len(units.starts):
        lengths[~is_free[order]] = 0
    taken = walk(lengths, budgets[lines])
    return order, taken, budgets[lines] - (lengths * taken).sum(axis=1)


@dataclass(frozen=True)
class Served:
    """The outcome of first come, first served: units taken (bool [U]), where spans begin among them (bool [U]), what is
    left of each row's budget (int64 [B], pieces), and whether a row's queue ended before its budget (bool [B])."""

    is_taken: np.ndarray
    begins: np.ndarray
    left: np.ndarray
    ran_out: np.ndarray


def served(units: Units, starts: np.ndarray, lengths: np.ndarray, budgets: np.ndarray, *, shortens: bool) -> Served:
    """Returns runs of units, in each line [B, M] in order of arrival (length 0: nobody). A run is taken whole unless
    one of its units is taken, until one overshoots the row's budget of pieces. That one is shortened to the units that
    still fit, or turned away whole."""
    pieces = starts_of(units.lengths)
    there = np.flatnonzero((lengths > 0).T.ravel())  # column by column: in order of arrival
    queue_starts, queue_lengths = starts.T.ravel()[there], lengths.T.ravel()[there]
    is_in = np.zeros(starts.size, dtype=bool)
    is_in[there], _ = first_come(queue_starts, queue_lengths, None, len(units.starts))
    grid = is_in.reshape(starts.shape[::-1]).T
    sizes = np.where(grid, pieces[starts + lengths] - pieces[starts], 0)
    total = np.cumsum(sizes, axis=1)
    fits = grid & (total <= budgets[:, None])
    left = budgets - np.where(fits, sizes, 0).sum(axis=1)
    first, size = starts[fits], lengths[fits]
    over = grid & ~fits
    if shortens and over.any():
        lines = np.flatnonzero(over.any(axis=1))
        run = starts[lines, over[lines].argmax(axis=1)]
        short = np.searchsorted(pieces, pieces[run] + left[lines], side="right") - 1 - run
        left[lines] -= pieces[run + short] - pieces[run]
        first, size = np.concatenate([first, run[short > 0]]), np.concatenate([size, short[short > 0]])
    is_taken, begins = (flags_at(places, len(units.starts)) for places in (ranges(first, size), first))
    return Served(is_taken, begins, left, (left > 0) & ~over.any(axis=1))


def topped_up(units: Units, rows: Rows, noise: Noise, got: Served) -> Chosen:
    """Spends what is left of the budgets on single units, walked in random order; each is a span of its own."""
    more = filled(units, rows.keys, noise, got.left, ~got.is_taken)
    got.is_taken[more] = got.begins[more] = True
    index = np.flatnonzero(got.is_taken)
    return collected(units, index, rows, got.begins[index])
