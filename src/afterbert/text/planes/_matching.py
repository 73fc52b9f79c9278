"""Finds many phrases in many words at once.

The phrases form a trie. A node is the hash of the words that lead to it, so each level is a sorted array, and
one step of the search takes all words of the texts along at once: those that lead nowhere drop out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from afterbert.base.rows import flags_at, starts_of
from afterbert.text.planes._words import TextWords, followed_by

_FILTER_PER_NODE, _MOST_FILTER_BITS = 16, 22


class Matches(NamedTuple):
    """M places, from left to right, none over another. first: int64 [M], words; lengths: int64 [M], in words;
    codes: uint8 [M], of the phrases found there."""

    first: np.ndarray
    lengths: np.ndarray
    codes: np.ndarray


class _Level(NamedTuple):
    """The nodes at one depth. hashes: uint64 [N], rising; codes: int16 [N], -1 where no phrase ends. may_hold: bool
    [2**k], by the highest bits of a hash: looked at first, for most words of a text are in no phrase."""

    hashes: np.ndarray
    codes: np.ndarray
    may_hold: np.ndarray

    @classmethod
    def of(cls, hashes: np.ndarray, codes: np.ndarray) -> _Level:
        """A level from the hash and code of every phrase that reaches it; of equal ones the first counts."""
        nodes, node_of = np.unique(hashes, return_inverse=True)
        at_node = np.full(len(nodes), -1, dtype=np.int16)
        ends = np.flatnonzero(codes >= 0)[::-1]
        at_node[node_of[ends]] = codes[ends]
        bits = min(_MOST_FILTER_BITS, (len(nodes) * _FILTER_PER_NODE).bit_length())
        may_hold = flags_at(_highest(nodes, bits), 1 << bits)
        return cls(nodes, at_node, may_hold)

    def find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int64 [H], int64 [H]: which of these hashes are nodes, and the numbers of the nodes."""
        bits = len(self.may_hold).bit_length() - 1
        asked = np.flatnonzero(self.may_hold[_highest(hashes, bits)])
        wanted = hashes[asked]
        nodes = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        is_there = self.hashes[nodes] == wanted
        return asked[is_there], nodes[is_there]


def _highest(hashes: np.ndarray, bits: int) -> np.ndarray:
    return (hashes >> np.uint64(64 - bits)).astype(np.int64)


class Matcher:
    """Finds phrases in texts: at each place the longest that fits, from left to right."""

    def __init__(self, hashes: np.ndarray, counts: np.ndarray, codes: np.ndarray):
        """hashes: uint64, the words of all phrases; counts: int64 [P], words of each, none 0; codes: uint8 [P]."""
        starts = starts_of(counts)[:-1]
        reached, depth = hashes[starts], 1
        self._levels: list[_Level] = []
        while len(starts):
            ends_here = np.where(counts == depth, codes.astype(np.int16), np.int16(-1))
            self._levels.append(_Level.of(reached, ends_here))
            goes_on = counts > depth
            starts, counts, codes = starts[goes_on], counts[goes_on], codes[goes_on]
            reached = followed_by(reached[goes_on], hashes[starts + depth])
            depth += 1

    def __call__(self, words: TextWords) -> Matches:
        """Where these phrases stand; they begin and end with whole words."""
        size = len(words.starts)
        lengths, codes = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.uint8)
        is_whole, stretches = np.append(words.is_whole, True), words.stretches
        first = np.flatnonzero(words.is_whole)
        reached = words.hashes[first]
        for depth, level in enumerate(self._levels, start=1):
            if depth > 1:
                has_next = first + depth <= size
                has_next[has_next] = stretches[first[has_next]] == stretches[first[has_next] + depth - 1]
                first = first[has_next]
                reached = followed_by(reached[has_next], words.hashes[first + depth - 1])
            index, nodes = level.find(reached)
            first, reached = first[index], reached[index]
            ends = (level.codes[nodes] >= 0) & is_whole[first + depth]
            lengths[first[ends]] = depth
            codes[first[ends]] = level.codes[nodes[ends]]
            if not len(first):
                break
        candidates = np.flatnonzero(lengths)
        kept = candidates[_from_left_to_right(candidates, lengths[candidates])]
        return Matches(kept, lengths[kept], codes[kept])


def _from_left_to_right(first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """bool [M]: the stretches that are taken when, from left to right, each is taken that is still free.

    Each one taken leads to the first that begins behind its end. Following twice as many of these steps every
    round marks them all in log(M) rounds.

    >>> _from_left_to_right(np.array([0, 1, 2, 5]), np.array([2, 2, 1, 1])).tolist()
    [True, False, True, True]
    """
    size = len(first)
    taken = np.zeros(size + 1, dtype=bool)
    step = np.append(np.searchsorted(first, first + lengths), size)
    ends = np.maximum.accumulate(first + lengths)
    taken[:1] = True
    taken[1:size] = first[1:] >= ends[:-1]
    while True:
        reached = step[taken]
        if taken[reached].all():
            return taken[:-1]
        taken[reached] = True
        step = step[step]
