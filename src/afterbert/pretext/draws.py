"""Random orders and subsets of ragged rows, all rows at once.

Every row gets its own line of a grid: random bits with the position in their low bits, which one sort along
the lines puts in a uniformly random order. The sort is numpy's vectorized one, so this costs little more than
the noise itself.
"""

from __future__ import annotations

import numpy as np

from afterbert.base.noise import Noise

_WIDEST_32 = 4096  # up to here a line's positions leave at least 20 random bits of 32


def shuffled(noise: Noise, keys: np.ndarray, sizes: np.ndarray, first: int | None = None) -> np.ndarray:
    """int64 [B, W], W the largest of `sizes` [B]: line b starts with a random order of range(sizes[b]); what
    comes after in the line means nothing. With `first`, only that many columns come back.

    Positions whose random bits agree are ordered by a mask drawn for the row, so no position is favoured.

    >>> order = shuffled(Noise(1), np.arange(2, dtype=np.uint64), np.array([3, 2]))
    >>> sorted(order[0].tolist()), sorted(order[1, :2].tolist())
    ([0, 1, 2], [0, 1])

    """
    width = int(sizes.max(initial=0))
    kept = width if first is None else min(first, width)
    if width == 0 or kept == 0:
        return np.zeros((len(sizes), 0), dtype=np.int64)
    low = (1 << (width - 1).bit_length()) - 1
    if width <= _WIDEST_32:
        lines, kind = noise.words(keys, width), np.uint32
    else:
        lines, kind = noise.bits(np.asarray(keys)[:, None], np.arange(width)[None, :]), np.uint64  # type: ignore[assignment]
    ties = (noise.of("ties").bits(keys) & np.uint64(low)).astype(kind)[:, None]
    lines = (lines & kind(~low & int(np.iinfo(kind).max))) | (np.arange(width, dtype=kind)[None, :] ^ ties)
    if sizes.min() < width:
        lines[np.arange(width) >= sizes[:, None]] = np.iinfo(kind).max
    if kept < width:
        lines = np.partition(lines, kept - 1, axis=1)[:, :kept]
    lines.sort(axis=1)
    return ((lines & kind(low)) ^ ties).astype(np.int64)


def subset(
    noise: Noise, keys: np.ndarray, sizes: np.ndarray, counts: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """int64 [N], sorted: `counts` [B] different members of range(sizes[b]) for each row, each subset equally
    likely, moved by `starts` [B] (where the row's members begin in a flat array).

    >>> keys, sizes, starts = np.arange(2, dtype=np.uint64), np.array([4, 2]), np.array([0, 4])
    >>> subset(Noise(1), keys, sizes, np.array([4, 1]), starts)[:4].tolist()
    [0, 1, 2, 3]

    """
    most = int(counts.max(initial=0))
    order = shuffled(noise, keys, sizes, first=most) + np.asarray(starts)[:, None]
    if len(counts) and counts.min() < order.shape[1]:
        return np.sort(order[np.arange(order.shape[1]) < counts[:, None]])
    order.sort(axis=1)
    return order.ravel()
