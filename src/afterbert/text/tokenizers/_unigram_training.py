"""Learning the pieces of a unigram language model, by arrays.

Source: Kudo 2018 (1804.10959) Section 3.2, and SentencePiece's unigram_model_trainer.cc for the numbers.
Written here because the trainer of the tokenizers library gives other scores, and at times other pieces, on
every run: its words stand in the order of a hash table with a random seed. Deviations: seeds are all frequent
substrings, not only those of a suffix tree; fewer of them, and fewer rounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import digamma

from afterbert.base.noise import mix
from afterbert.base.rows import ranges, starts_of
from afterbert.text.characters import code_points

LONGEST_PIECE = 16

_SEEDS_PER_PIECE = 8
_EM_STEPS = 2
_KEPT_PER_ROUND = 0.8
_SPARE = 1.1  # what is left before the last cut, as in SentencePiece
_LEAST_EXPECTED = 0.5
_UNKNOWN_PENALTY = 10.0


class Scored(NamedTuple):
    """A piece and its log probability."""

    piece: str
    score: float


@dataclass(frozen=True)
class Words:
    """Stretches of text [W] that no piece may cross, with how often each was seen.

    codes: uint32 [C], all characters; starts: int64 [W+1]; counts: float64 [W].
    """

    codes: np.ndarray
    starts: np.ndarray
    counts: np.ndarray

    @staticmethod
    def of(words: Sequence[str], counts: np.ndarray) -> Words:
        lengths = np.fromiter(map(len, words), np.int64, len(words))
        return Words(code_points("".join(words)), starts_of(lengths), np.asarray(counts, np.float64))

    @property
    def room(self) -> np.ndarray:
        """int64 [C]: characters from each one to the end of its word."""
        return np.repeat(self.starts[1:], np.diff(self.starts)) - np.arange(len(self.codes))


@dataclass(frozen=True)
class Pieces:
    """Candidates [P]: where one of each stands (begins, lengths: int64 [P]), its key (uint64 [P]) and score
    (float64 [P]).

    Sorted by key, a hash of the characters. Ties are always broken by it, so nothing depends on any order.
    """

    keys: np.ndarray
    begins: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray

    def take(self, index: np.ndarray) -> Pieces:
        return Pieces(self.keys[index], self.begins[index], self.lengths[index], self.scores[index])


def learn(words: Words, alphabet: Sequence[str], *, size: int, min_frequency: int) -> list[Scored]:
    """At most `size` pieces with their scores, best first; every letter of the alphabet is among them."""
    letters = code_points("".join(alphabet))
    pieces = _seeds(words, letters, most=_SEEDS_PER_PIECE * size, min_frequency=min_frequency)
    lattice = Lattice.of(words, pieces)
    wanted = int(_SPARE * size)
    while True:
        for _ in range(_EM_STEPS):
            pieces, lattice = _improved(pieces, lattice, words.counts)
        if len(pieces.keys) <= wanted:
            return _best(words, pieces, alphabet, size)
        keep = _worth_keeping(words, pieces, lattice, max(wanted, int(_KEPT_PER_ROUND * len(pieces.keys))))
        pieces, lattice = pieces.take(np.flatnonzero(keep)), lattice.restricted(keep)


def _seeds(words: Words, letters: np.ndarray, *, most: int, min_frequency: int) -> Pieces:
    """The letters, and the substrings that would save most: frequency times length."""
    weights = np.repeat(words.counts, np.diff(words.starts))
    found: list[tuple[np.ndarray, ...]] = []
    for length, begins, keys in _substrings(words, weights, min_frequency):
        unique, first, where = np.unique(keys, return_index=True, return_inverse=True)
        frequency = np.bincount(where, weights[begins])
        kept = np.isin(words.codes[begins[first]], letters) if length == 1 else frequency >= min_frequency
        lengths = np.full(len(unique), length)
        found.append(tuple(a[kept] for a in (unique, begins[first], lengths, frequency)))
    keys, begins, lengths, frequency = (np.concatenate(columns) for columns in zip(*found))
    gain = np.where(lengths == 1, np.inf, frequency * lengths)
    best = np.lexsort((keys, -gain))[:most]
    best = best[np.argsort(keys[best])]
    scores = np.log(frequency[best] * lengths[best])
    return Pieces(keys[best], begins[best], lengths[best], scores - np.log(np.exp(scores).sum()))


def _substrings(
    words: Words, weights: np.ndarray, min_frequency: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(length, begins [N], keys [N]) for each length: the places whose shorter substring is frequent enough
    to go on from."""
    room, codes = words.room, words.codes.astype(np.uint64)
    begins = np.arange(len(codes))
    keys = mix(codes)
    yield 1, begins, keys
    for length in range(2, LONGEST_PIECE + 1):
        unique, where = np.unique(keys, return_inverse=True)
        frequent = np.bincount(where, weights[begins], minlength=len(unique))[where] >= min_frequency
        goes_on = frequent & (room[begins] >= length)
        begins, keys = begins[goes_on], keys[goes_on]
        if len(begins) == 0:
            return
        keys = mix(keys ^ (codes[begins + length - 1] << np.uint64(32)))
        yield length, begins, keys


@dataclass(frozen=True)
class Lattice:
    """All ways to cut words into pieces: an edge for each place where a piece stands. Nodes lie between
    characters; a word of n characters has n + 1.

    piece: int64 [E], -1 for a character that is no piece; source, target: int64 [E], nodes; depth,
    source_depth: int64 [E], their places in the word; by_source: int64 [E], the edges in the order for
    walking backwards; first, last: int64 [W], the outer nodes of each word. Edges are sorted by depth, then
    by target.
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
    def of(words: Words, pieces: Pieces) -> Lattice:
        """Every occurrence of a piece in the words."""
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
        source = begins + word
        return Lattice._sorted(piece, source, source + lengths, first, first + np.diff(words.starts), word)

    @staticmethod
    def _sorted(
        piece: np.ndarray,
        source: np.ndarray,
        target: np.ndarray,
        first: np.ndarray,
        last: np.ndarray,
        word: np.ndarray,
    ) -> Lattice:
        depth, source_depth = target - first[word], source - first[word]
        order = np.lexsort((source, target, depth))
        piece, source, target = piece[order], source[order], target[order]
        depth, source_depth = depth[order], source_depth[order]
        return Lattice(
            piece,
            source,
            target,
            depth,
            np.lexsort((target, source, -source_depth)),
            source_depth,
            first,
            last,
        )

    def restricted(self, keep: np.ndarray) -> Lattice:
        """The lattice without the pieces that are not kept (bool [P]); those kept are numbered anew. A letter
        is always kept."""
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

    def expected(self, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """float64 [P]: how often each piece is expected, over all cuts in proportion to their probability."""
        gain = self._gain(scores)
        forward = self._sums(gain, self.source, self.target, self.depth, np.arange(len(gain)), self.first)
        backward = self._sums(gain, self.target, self.source, -self.source_depth, self.by_source, self.last)
        word = np.repeat(np.arange(len(self.first)), self.last - self.first + 1)[self.source]
        share = np.exp(forward[self.source] + gain + backward[self.target] - forward[self.last][word])
        known = self.piece >= 0
        return np.bincount(self.piece[known], (share * counts[word])[known], minlength=len(scores))

    def best(self, scores: np.ndarray, *, without: np.ndarray | None = None) -> np.ndarray:
        """int64: the edges of the best cut of each word, in no order; edges `without` (bool [E]) may not be
        used."""
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


def _improved(pieces: Pieces, lattice: Lattice, counts: np.ndarray) -> tuple[Pieces, Lattice]:
    """One step of EM, with the digamma of a sparse prior as in SentencePiece; pieces that are hardly expected
    go."""
    expected = lattice.expected(pieces.scores, counts)
    keep = (expected >= _LEAST_EXPECTED) | (pieces.lengths == 1)
    expected = np.maximum(expected, _LEAST_EXPECTED)[keep]
    scores = digamma(expected) - digamma(expected.sum())
    kept = pieces.take(np.flatnonzero(keep))
    return Pieces(kept.keys, kept.begins, kept.lengths, scores), lattice.restricted(keep)


def _worth_keeping(words: Words, pieces: Pieces, lattice: Lattice, count: int) -> np.ndarray:
    """bool [P]: the letters, and up to `count` pieces in all whose loss would cost most likelihood."""
    path = lattice.best(pieces.scores)
    word = np.repeat(np.arange(len(lattice.first)), lattice.last - lattice.first + 1)[lattice.source[path]]
    used = lattice.piece[path]
    frequency = np.bincount(used[used >= 0], words.counts[word][used >= 0], minlength=len(pieces.keys))
    loss = _loss(words, pieces, frequency)
    loss[frequency == 0] = -np.inf
    loss[pieces.lengths == 1] = np.inf
    order = np.lexsort((pieces.keys, -loss))[:count]
    keep = np.zeros(len(loss), dtype=bool)
    keep[order] = loss[order] > -np.inf
    return keep


def _loss(words: Words, pieces: Pieces, frequency: np.ndarray) -> np.ndarray:
    """float64 [P]: the likelihood lost when each piece is cut into its best other pieces."""
    own = Words(
        words.codes[ranges(pieces.begins, pieces.lengths)],
        starts_of(pieces.lengths),
        np.ones(len(pieces.keys)),
    )
    inner = Lattice.of(own, pieces)
    is_whole = (inner.source_depth == 0) & np.isin(inner.target, inner.last) & (inner.depth > 1)
    path = inner.best(pieces.scores, without=is_whole)
    owner = np.repeat(np.arange(len(inner.first)), inner.last - inner.first + 1)[inner.source[path]]
    parts = np.bincount(owner, minlength=len(frequency))
    total = frequency.sum()
    seen = np.maximum(frequency, 1e-12)
    each = np.log(np.append(frequency, 0)[inner.piece[path]] + seen[owner])
    then = np.bincount(owner, each, minlength=len(seen)) - parts * np.log(total + seen * (parts - 1))
    return frequency / words.counts.sum() * (np.log(seen) - np.log(total) - then)


def _best(words: Words, pieces: Pieces, alphabet: Sequence[str], size: int) -> list[Scored]:
    """The letters and the most probable pieces; a letter that was never a piece gets the lowest scores."""
    flat = words.codes.astype("<u4").tobytes().decode("utf-32-le")
    named = [flat[begin : begin + length] for begin, length in zip(pieces.begins, pieces.lengths)]
    scored = dict(zip(named, np.round(pieces.scores, 6).tolist()))
    lowest = min(scored.values(), default=0.0)
    letters = {letter: scored.get(letter, lowest - 1e-4 * n) for n, letter in enumerate(alphabet, start=1)}
    others = sorted((item for item in scored.items() if item[0] not in letters), key=lambda i: (-i[1], i[0]))
    kept = {**letters, **dict(others[: max(0, size - len(letters))])}
    return [Scored(p, round(s, 6)) for p, s in sorted(kept.items(), key=lambda item: (-item[1], item[0]))]
