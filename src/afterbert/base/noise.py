"""Noise without state: a random number is a pure function of (seed, stream, row key, view, position).

So the same row gets the same noise in any batch, on any worker, process or resume, and two studies that share
a stream share its noise (paired comparison). The function is a counter-based hash: the finalizer of
splitmix64 (Steele, Lea, Flood 2014), applied to the running state once for each ingredient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xxhash

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_SORTED = 4096  # permutations up to here are made by sorting


def mix(state: np.ndarray) -> np.ndarray:
    """Splitmix64's finalizer on uint64 [...]; a bijection of 64-bit numbers. At least one axis comes back."""
    state = np.atleast_1d(np.asarray(state, dtype=np.uint64) + _GOLDEN)
    shifted = state >> _S30
    state ^= shifted
    state *= _MIX_1
    state ^= np.right_shift(state, _S27, out=shifted)
    state *= _MIX_2
    state ^= np.right_shift(state, _S31, out=shifted)
    return state


def chance(rate: float) -> np.uint64:
    """Returns the threshold below which 32 random bits fall with probability `rate` (to 2**-32).

    >>> int(chance(0.5)), int(chance(1.0))
    (2147483648, 4294967296)
    """
    return np.uint64(round(rate * 2**32))


@dataclass(frozen=True)
class Noise:
    """A source of noise. Immutable: `of(stream)`, `seen_as(view)` and `at(progress)` give other sources.

    progress: the share of the run that lies behind, from 0 to 1, for what goes through stages. No number depends on it.

    >>> noise = Noise(seed=7)
    >>> keys = np.array([3, 4], dtype=np.uint64)
    >>> bool((noise.of("select").uniform(keys) == noise.of("select").uniform(keys)).all())
    True
    >>> bool((noise.of("select").uniform(keys) == noise.of("corrupt").uniform(keys)).any())
    False
    >>> noise.uniform(keys[::-1])[0] == noise.uniform(keys)[1]   # no dependence on the batch
    np.True_
    """

    seed: int
    stream: str = ""
    view: int = 0
    progress: float = 0.0

    def of(self, stream: str) -> Noise:
        """Returns the named sub-stream; names nest."""
        return Noise(self.seed, f"{self.stream}/{stream}", self.view, self.progress)

    def seen_as(self, view: int) -> Noise:
        """Gives the same streams in another view of the data (dynamic masking draws one view an epoch)."""
        return Noise(self.seed, self.stream, view, self.progress)

    def at(self, progress: float) -> Noise:
        """Gives the same numbers at another moment of the run."""
        return Noise(self.seed, self.stream, self.view, progress)

    def _start(self) -> np.uint64:
        return np.uint64(xxhash.xxh3_64_intdigest(f"{self.seed}:{self.view}:{self.stream}".encode()))

    def bits(self, keys: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """Returns random bits, uint64, in the broadcast shape of `keys` (row keys) and `positions` (within the row)."""
        by_key = mix(np.asarray(keys, dtype=np.uint64) ^ self._start())
        if positions is None:
            return by_key
        spread = np.asarray(positions).astype(np.uint64, copy=False) * _GOLDEN
        return mix(by_key ^ spread)

    def words(self, keys: np.ndarray, width: int) -> np.ndarray:
        """Returns uint32 [B, width]: 32 random bits for each key [B] and each position below `width`.

        Two positions share one hash, so this is twice as fast as `bits`; a position's number does not depend
        on `width`.
        """
        pairs = np.arange((width + 1) // 2, dtype=np.uint64)
        bits = self.bits(np.asarray(keys)[:, None], pairs[None, :])
        return bits.astype("<u8", copy=False).view("<u4")[:, :width]

    def uniform(self, keys: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """Returns random numbers in [0, 1), float64, shaped as `bits`."""
        bits = self.bits(keys, positions)
        bits >>= _S11
        return bits * 2.0**-53

    def integers(self, high: np.ndarray | int, keys: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """Returns random integers in [0, high), int64, shaped as `bits`; `high` broadcasts. Their bias is below high /
        2**53."""
        drawn = self.uniform(keys, positions)
        drawn *= high
        return drawn.astype(np.int64)

    def order(self, size: int) -> np.ndarray:
        """Returns a random order of range(size), int64 [size]. Up to 4096 it is that of `permutation`; beyond, it is
        much faster where the whole order is wanted.

        >>> Noise(1).order(10).tolist() == Noise(1).permutation(10, np.arange(10)).tolist()
        True
        """
        index = np.arange(size, dtype=np.uint64)
        low = np.uint64((1 << size.bit_length()) - 1)
        # by random numbers whose last bits are the index: sorting values is several times as fast as `argsort`
        return (np.sort((self.bits(index) & ~low) | index) & low).astype(np.int64)

    def permutation(self, size: int, index: np.ndarray) -> np.ndarray:
        """Tells where each `index` [N] goes under this source's permutation of range(size); int64 [N].

        Up to 4096 by sorting random numbers. Beyond, a Feistel network of four rounds on the smallest even number of
        bits that holds `size`, walking the cycle until the result falls inside (Black and Rogaway 2002): no table, so
        the order of a billion rows costs nothing. (On a few bits such a network favours some orders.)

        >>> sorted(Noise(1).permutation(10, np.arange(10)).tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        """
        if size <= _SORTED:
            return np.argsort(self.bits(np.arange(size)), kind="stable")[np.asarray(index)]
        half = np.uint64((size - 1).bit_length() + 1 >> 1)
        low = np.uint64((1 << int(half)) - 1)
        where = np.asarray(index).astype(np.uint64)
        outside = np.ones(where.shape, dtype=bool)
        while outside.any():
            left, right = where[outside] >> half, where[outside] & low
            for turn in range(4):
                left, right = right, left ^ (self.of(f"feistel{turn}").bits(right) & low)
            where[outside] = (left << half) | right
            outside = where >= np.uint64(size)
        return where.astype(np.int64)
