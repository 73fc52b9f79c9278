"""All ways to cut words into pieces, as arrays: what a unigram language model is trained on and cuts with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import mix
from afterbert.base.rows import starts_of
from afterbert.text.pieces.characters import code_points

LONGEST_PIECE = 16

_UNKNOWN_PENALTY = 10.0  # SentencePiece's


@dataclass(frozen=True)
class WordCounts:
    """Stretches of text [W] that no piece may cross, with how often each was seen.

    codes: uint32 [C], all characters; starts: int64 [W+1]; counts: float64 [W].
    """

    codes: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    @staticmethod
    def of(words: Sequence[str], counts: np.ndarray) -> WordCounts:
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        return WordCounts(code_points("".join(words)), starts_of(lengths), np.asarray(counts, np.float64))

    @property
    def room(self) -> np.ndarray:
        """int64 [C]: characters from each one to the end of its word."""
        return np.repeat(self.starts[1:], np.diff(self.starts)) - np.arange(len(self.codes))


@dataclass(frozen=True)
class CandidatePieces:
    """Candidates [P]: where one of each stands (begins, lengths: int64 [P]), its key (uint64 [P]) and score
    (float64 [P]).

    Sorted by key, a hash of the characters. Ties are always broken by it, so nothing depends on any order.
    """

    keys: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray

    def take(self, index: np.ndarray) -> CandidatePieces:
        return CandidatePieces(self.keys[index], self.begins[index], self.lengths[index], self.scores[index])


@dataclass(frozen=True)
class Lattice:
    """All ways to cut words into pieces: an edge for each place where a piece stands. Nodes lie between characters; a
    word of n characters has n + 1.

    piece: int64 [E], -1 for a character that is no piece; source, target: int64 [E], nodes; depth, source_depth: int64
    [E], their places in the word; by_source: int64 [E], the edges in the order for walking backwards; first, last:
    int64 [W], the outer nodes of each word. Edges are sorted by depth, then by target.
    """

    piece: np.ndarray
    source: np.ndarray
    target: np.ndarray
    depth: np.ndarray
    by_source: np.ndarray
    source_depth: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @staticmethod
    def of(words: WordCounts, pieces: CandidatePieces) -> Lattice:
        """Returns the lattice of every occurrence of a piece in the words."""
        codes, room = words.codes.astype(np.uint64), words.room
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        keys = mix(codes)
        for length in range(1, LONGEST_PIECE + 1):
            begins = np.flatnonzero(room >= length)
            if length > 1:
                keys = keys[: len(keys) - 1]
                keys = mix(keys ^ (codes[length - 1 :] << np.uint64(32)))
            here = keys[begins]
            at = np.minimum(np.searchsorted(pieces.keys, here), len(pieces.keys) - 1)
            is_piece = pieces.keys[at] == here
            piece = np.where(is_piece, at, -1)
            kept = is_piece | (length == 1)
            found.append((begins[kept], np.full(int(kept.sum()), length), piece[kept]))
        begins, lengths, piece = (np.concatenate(columns) for columns in zip(*found))
        word = np.repeat(np.arange(len(words.starts) - 1), np.diff(words.starts))[begins]
        first = words.starts[:-1] + np.arange(len(words.starts) - 1)
        source, source_depth = begins + word, begins - words.starts[word]
        order = np.lexsort((source, source + lengths, source_depth + lengths))
        piece, lengths, source, source_depth = (a[order] for a in (piece, lengths, source, source_depth))
        target, depth = source + lengths, source_depth + lengths
        by_source = np.lexsort((target, source, -source_depth))
        return Lattice(piece, source, target, depth, by_source, source_depth, first, first + np.diff(words.starts))

    def restricted(self, keep: np.ndarray) -> Lattice:
        """Returns the lattice with only the kept pieces (bool [P]), numbered anew. A letter is always kept."""
        numbers = np.append(np.cumsum(keep) - 1, -1)
        stays = np.append(keep, True)[self.piece]
        moved = np.cumsum(stays) - 1
        by_source = moved[self.by_source[stays[self.by_source]]]
        return Lattice(
            numbers[self.piece[stays]],
            self.source[stays],
            self.target[stays],
            self.depth[stays],
            by_source,
            self.source_depth[stays],
            self.first,
            self.last,
        )

    def words(self, edges: np.ndarray) -> np.ndarray:
        """Returns the words of these edges, int64 [N]."""
        return np.searchsorted(self.last, self.source[edges])

    def expected(self, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Returns how often each piece is expected, float64 [P], over all cuts in proportion to their probability."""
        gain = self._gain(scores)
        forward = self._sums(gain, self.source, self.target, self.depth, np.arange(len(gain)), self.first)
        backward = self._sums(gain, self.target, self.source, -self.source_depth, self.by_source, self.last)
        word = self.words(np.arange(len(gain)))
        share = np.exp(forward[self.source] + gain + backward[self.target] - forward[self.last][word])
        known = self.piece >= 0
        return np.bincount(self.piece[known], (share * counts[word])[known], minlength=len(scores))

    def best(self, scores: np.ndarray, *, without: np.ndarray | None = None) -> np.ndarray:
        """Returns the edges of each word's best cut, int64, in no order; edges `without` (bool [E]) may not be used."""
        gain = self._gain(scores)
        if without is not None:
            gain = np.where(without, -np.inf, gain)
        reached = np.full(int(self.last[-1]) + 1, -np.inf)
        reached[self.first] = 0.0
        arrival = np.full(len(reached), -1, dtype=np.int64)
        for begin, end in _blocks(self.depth):
            value = reached[self.source[begin:end]] + gain[begin:end]
            groups = _group_starts(self.target[begin:end])
            most = np.maximum.reduceat(value, groups)
            is_best = value == np.repeat(most, np.diff(np.append(groups, len(value))))
            edges = np.where(is_best, np.arange(begin, end), len(gain))
            nodes = self.target[begin:end][groups]
            reached[nodes], arrival[nodes] = most, np.minimum.reduceat(edges, groups)
        return self._traced(arrival)

    def _traced(self, arrival: np.ndarray) -> np.ndarray:
        nodes, path = self.last[self.last > self.first], []
        while len(nodes):
            edges = arrival[nodes]
            path.append(edges)
            nodes = self.source[edges]
            nodes = nodes[arrival[nodes] >= 0]
        return np.concatenate(path) if path else np.zeros(0, dtype=np.int64)

    def _gain(self, scores: np.ndarray) -> np.ndarray:
        return np.append(scores, scores.min() - _UNKNOWN_PENALTY)[self.piece]

    def _sums(
        self,
        gain: np.ndarray,
        known: np.ndarray,
        wanted: np.ndarray,
        depth: np.ndarray,
        order: np.ndarray,
        begin_nodes: np.ndarray,
    ) -> np.ndarray:
        """float64 [nodes]: log of the summed probability of all ways from the begin nodes to each node,
        walking edges in this order."""
        total = np.full(int(self.last[-1]) + 1, -np.inf)
        total[begin_nodes] = 0.0
        for begin, end in _blocks(depth[order]):
            edges = order[begin:end]
            value = total[known[edges]] + gain[edges]
            groups = _group_starts(wanted[edges])
            most = np.maximum.reduceat(value, groups)
            spread = np.repeat(most, np.diff(np.append(groups, len(value))))
            total[wanted[edges][groups]] = most + np.log(np.add.reduceat(np.exp(value - spread), groups))
        return total


def _blocks(depth: np.ndarray) -> Iterator[tuple[int, int]]:
    """(begin, end) of each stretch of equal values."""
    starts = _group_starts(depth)
    return zip(starts.tolist(), np.append(starts[1:], len(depth)).tolist())


def _group_starts(values: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.append(True, values[1:] != values[:-1]))[: len(values)]
