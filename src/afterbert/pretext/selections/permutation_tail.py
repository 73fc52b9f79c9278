"""Permutation tail: the last pieces of a random factorization order, in short spans spread over the row.

Source: XLNet (1906.08237) Sections 2.2, 2.3 and Appendix A; zihangdai/xlnet `data_utils.py`. One piece in `context` is
predicted: the row is laid out in contexts of about `context` * L units, each with one span of L units, L drawn with
weight 1/L from 1 to 5. Pieces that are not chosen have rank 0: all see them, they see no chosen piece. The chosen ones
follow in random order. Where rows have a plane `reused` (`two_segments`), that part has an order of its own, and all of
it comes before the rest: nothing of what the next row remembers depends on text that does not lie before it.
Deviations: a context is `context` * L long, as the paper says, where the release adds L, then fills up with single
pieces; special pieces are ranked like pieces that are not chosen, the release lets them join the order.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise, mix
from afterbert.base.rows import Rows, flags_at, ranges, starts_of
from afterbert.pretext.draws import drawn, shuffled
from afterbert.pretext.selections import Chosen
from afterbert.pretext.selections._spans import RatedUnits, collected, cut_last, share
from afterbert.pretext.units import Units, needed_plane, units_of


@dataclass(frozen=True)
class PermutationTail(RatedUnits):
    """Chooses the last units of a random order, in spans.

    >>> rows = Rows.of("[CLS] a b c d e f [SEP]")
    >>> chosen = PermutationTail(context=2, weights=(1,))(rows, Noise(0))
    >>> sorted(chosen.rank.tolist())
    [0, 0, 0, 0, 0, 1, 2, 3]
    """

    unit: str = "piece"
    context: Annotated[float, Field(ge=1)] = 6.0
    """XLNet's K."""
    weights: tuple[float, ...] = (60, 30, 20, 15, 12)
    """The weights of spans of 1, 2, ... units, in any scale; (1,) gives BART's permuted arm, single pieces. The budget
    counts units: exact for pieces, for words so many words."""

    has_rank = True

    def __post_init__(self) -> None:
        if not self.weights or min(self.weights) < 0 or self.weights[-1] <= 0:
            raise UserError(
                f"weights {self.weights} draw no span; give one number of 0 or more for each length from 1 up"
            )

    def budget(self, sizes: np.ndarray) -> np.ndarray:
        return share(1 / self.context, sizes)

    def __call__(self, rows: Rows, noise: Noise) -> Chosen:
        parts, first = _parts(rows) if "reused" in rows.planes else (rows, None)
        units = units_of(parts, self.unit)
        budgets = self.budget(units.counts) if first is None else self._shared(units.counts, first)
        index, begins = self._spans(units, parts, budgets, noise)
        chosen = collected(units, index, parts, begins)
        counts = np.diff(np.searchsorted(chosen.positions, parts.row_starts))
        order = shuffled(noise.of("order"), parts.keys, counts)
        rank = np.zeros(rows.num_pieces, dtype=np.int64)
        rank[chosen.positions] = order[np.arange(order.shape[1]) < counts[:, None]] + 1
        if first is not None:
            behind = np.zeros(len(parts), dtype=np.int64)
            behind[first ^ 1] = counts[first] + 1
            rank += np.repeat(behind, parts.lengths)
        return replace(chosen, rank=rank)

    def _shared(self, sizes: np.ndarray, first: np.ndarray) -> np.ndarray:
        """The budget of each part of `sizes` [2B] units: a row's is shared among its two by their sizes."""
        whole = sizes[first] + sizes[first ^ 1]
        total, found = self.budget(whole), np.zeros(len(sizes), dtype=np.int64)
        found[first] = total * sizes[first] // np.maximum(whole, 1)
        found[first ^ 1] = total - found[first]
        return found

    def _spans(self, units: Units, rows: Rows, budgets: np.ndarray, noise: Noise) -> tuple[np.ndarray, np.ndarray]:
        """The chosen units, sorted, and whether a span begins with each."""
        bits = noise.of("lengths").words(rows.keys, int(budgets.max(initial=0)))  # each span has at least one
        lengths, counts = cut_last(1 + drawn(bits, self.weights), budgets, rows, noise)
        row = np.repeat(np.arange(len(rows)), counts)
        before = starts_of(lengths)
        in_row = before - np.append(before[starts_of(counts)[row]], 0)  # units of the spans before, row by row
        low = in_row[:-1] * units.counts[row] // budgets[row]
        high = (in_row[:-1] + lengths) * units.counts[row] // budgets[row]
        nth = np.arange(len(lengths)) - starts_of(counts)[row]
        spare = noise.of("places").integers(high - low - lengths + 1, rows.keys[row], nth)
        return ranges(units.row_starts[row] + low + spare, lengths), flags_at(before[:-1], int(lengths.sum()))


def _parts(rows: Rows) -> tuple[Rows, np.ndarray]:
    """Cuts each row in two, its reused part and the rest as they stand; and which of the 2B are the reused ones [B]."""
    is_reused = needed_plane(rows, "reused")
    sizes = np.bincount(rows.row_of, is_reused, minlength=len(rows)).astype(np.int64)
    leads = np.append(is_reused, False)[rows.row_starts[:-1]]
    cuts = np.where(leads, rows.row_starts[:-1] + sizes, rows.row_starts[1:] - sizes)
    starts = np.append(np.stack([rows.row_starts[:-1], cuts], axis=1).ravel(), rows.row_starts[-1:])
    first = 2 * np.arange(len(rows)) + ~leads
    keys = np.repeat(rows.keys, 2)
    keys[first ^ 1] = mix(rows.keys)
    return Rows(rows.piece_ids, starts, keys, rows.planes), first
