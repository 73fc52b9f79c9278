"""Random orders, subsets and lengths for ragged rows, all rows at once.

Every row gets its own line of a grid: random bits with the position in their low bits, which one sort along the lines
puts in a uniformly random order. The sort is numpy's vectorized one, so this costs little more than the noise itself.
"""

import numpy as np

from afterbert.base.noise import Noise

_NARROW = 4096  # rows up to here: 12 bits for the position leave 20 random ones of 32; longer rows use 64
_FILLER = np.uint32(0xFFFFFFFF)


def shuffled(noise: Noise, keys: np.ndarray, sizes: np.ndarray, first: int | None = None) -> np.ndarray:
    """Returns random orders, int64 [B, W], with W the largest of `sizes` [B]: line b starts with a random order of
    range(sizes[b]); the rest of the line means nothing. `first` returns only that many columns, the same ones.

    A row's order depends on its key and size alone. Positions whose random bits agree are ordered by a mask drawn for
    the row, so none is favoured.

    >>> order = shuffled(Noise(1), np.arange(2, dtype=np.uint64), np.array([3, 2]))
    >>> sorted(order[0].tolist()), sorted(order[1, :2].tolist())
    ([0, 1, 2], [0, 1])
    """
    width = int(sizes.max(initial=0))
    kept = width if first is None else min(first, width)
    if width == 0 or kept == 0:
        return np.zeros((len(sizes), 0), dtype=np.int64)
    if width <= _NARROW:
        return _narrow(noise, keys, sizes, width, kept)
    order = np.zeros((len(sizes), kept), dtype=np.int64)
    is_wide = sizes > _NARROW
    few = min(kept, _NARROW)
    order[~is_wide, :few] = _narrow(noise, keys[~is_wide], sizes[~is_wide], _NARROW, few)
    order[is_wide] = _wide(noise, keys[is_wide], sizes[is_wide], width, kept)
    return order


def _narrow(noise: Noise, keys: np.ndarray, sizes: np.ndarray, width: int, kept: int) -> np.ndarray:
    low = np.uint32(_NARROW - 1)
    ties = noise.of("ties").bits(keys).astype(np.uint32)[:, None] & low
    lines = noise.words(keys, width) & ~low
    lines |= np.arange(width, dtype=np.uint32) ^ ties
    if sizes.min(initial=width) < width:
        np.copyto(lines, _FILLER, where=np.arange(width) >= sizes[:, None])
    if kept < width:
        lines = np.partition(lines, kept - 1, axis=1)[:, :kept]
    lines.sort(axis=1)
    return ((lines & low) ^ ties).astype(np.int64)


def _wide(noise: Noise, keys: np.ndarray, sizes: np.ndarray, width: int, kept: int) -> np.ndarray:
    lines = noise.bits(keys[:, None], np.arange(width)[None, :])  # 64 bits: ties are out of the question
    lines[np.arange(width) >= sizes[:, None]] = np.uint64(0xFFFFFFFFFFFFFFFF)
    return np.argsort(lines, axis=1, kind="stable")[:, :kept]


def subset(noise: Noise, keys: np.ndarray, sizes: np.ndarray, counts: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Returns int64 [N], sorted: `counts` [B] different members of range(sizes[b]) for each row, moved by `starts` [B]
    (where the row's members begin in a flat array). Each subset is equally likely.

    >>> keys, sizes, starts = np.arange(2, dtype=np.uint64), np.array([4, 2]), np.array([0, 4])
    >>> subset(Noise(1), keys, sizes, np.array([4, 1]), starts)[:4].tolist()
    [0, 1, 2, 3]
    """
    order = shuffled(noise, keys, sizes, first=int(counts.max(initial=0)))
    order += np.asarray(starts)[:, None]
    if len(counts) and counts.min() < order.shape[1]:
        return np.sort(order[np.arange(order.shape[1]) < counts[:, None]])
    order.sort(axis=1)
    return order.ravel()


def drawn(bits: np.ndarray, weights: tuple[float, ...] | np.ndarray) -> np.ndarray:
    """Returns numbers k, int64, shaped as `bits` (uint32), with probability proportional to weights[k], within 2**-32.

    >>> drawn(np.array([0, 2**31 - 1, 2**31, 2**32 - 1], dtype=np.uint32), (1, 0, 1)).tolist()
    [0, 0, 2, 2]
    """
    shares = np.cumsum(np.asarray(weights, dtype=np.float64))
    edges = np.rint(shares[:-1] / shares[-1] * 2.0**32)
    found = np.zeros(bits.shape, dtype=np.uint8)
    assert len(shares) <= 256
    for edge in edges[edges < 2.0**32]:
        found += bits >= np.uint32(edge)
    return found.astype(np.int64)
