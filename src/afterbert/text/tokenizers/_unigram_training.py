"""Learning the pieces of a unigram language model, by arrays.

Source: Kudo 2018 (1804.10959) Section 3.2, and SentencePiece's unigram_model_trainer.cc for the numbers.
Written here because the trainer of the tokenizers library gives other scores on every run: its words stand
in the order of a hash table with a random seed (docs/decisions/unigram-trainer.md). Deviations: seeds are all
frequent substrings, not only those of a suffix tree; fewer of them, and fewer rounds.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import digamma

from afterbert.base.noise import mix
from afterbert.base.rows import ranges, starts_of
from afterbert.text.pieces.characters import code_points
from afterbert.text.tokenizers._lattice import LONGEST_PIECE, CandidatePieces, Lattice, WordCounts

_SEEDS_PER_PIECE = 8
_EM_STEPS = 2
_KEPT_PER_ROUND = 0.8
_SPARE = 1.1  # what is left before the last cut, as in SentencePiece
_LEAST_EXPECTED = 0.5


class Scored(NamedTuple):
    """A piece and its log probability."""

    piece: str
    score: float


def learn(words: WordCounts, alphabet: Sequence[str], *, size: int, min_frequency: int) -> list[Scored]:
    """Returns at most `size` pieces with their scores, best first; every letter of the alphabet is among them."""
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


def _seeds(words: WordCounts, letters: np.ndarray, *, most: int, min_frequency: int) -> CandidatePieces:
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
    return CandidatePieces(keys[best], begins[best], lengths[best], scores - np.log(np.exp(scores).sum()))


def _substrings(
    words: WordCounts, weights: np.ndarray, min_frequency: int
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


def _improved(pieces: CandidatePieces, lattice: Lattice, counts: np.ndarray) -> tuple[CandidatePieces, Lattice]:
    """One step of EM, with the digamma of a sparse prior as in SentencePiece; pieces that are hardly expected go."""
    expected = lattice.expected(pieces.scores, counts)
    keep = (expected >= _LEAST_EXPECTED) | (pieces.lengths == 1)
    expected = np.maximum(expected, _LEAST_EXPECTED)[keep]
    scores = digamma(expected) - digamma(expected.sum())
    kept = pieces.take(np.flatnonzero(keep))
    return CandidatePieces(kept.keys, kept.begins, kept.lengths, scores), lattice.restricted(keep)


def _worth_keeping(words: WordCounts, pieces: CandidatePieces, lattice: Lattice, count: int) -> np.ndarray:
    """bool [P]: the letters, and up to `count` pieces in all whose loss would cost most likelihood."""
    path = lattice.best(pieces.scores)
    word, used = lattice.words(path), lattice.piece[path]
    frequency = np.bincount(used[used >= 0], words.counts[word][used >= 0], minlength=len(pieces.keys))
    loss = _loss(words, pieces, frequency)
    loss[frequency == 0] = -np.inf
    loss[pieces.lengths == 1] = np.inf
    order = np.lexsort((pieces.keys, -loss))[:count]
    keep = np.zeros(len(loss), dtype=bool)
    keep[order] = loss[order] > -np.inf
    return keep


def _loss(words: WordCounts, pieces: CandidatePieces, frequency: np.ndarray) -> np.ndarray:
    """float64 [P]: the likelihood lost when each piece is cut into its best other pieces."""
    own = WordCounts(
        words.codes[ranges(pieces.begins, pieces.lengths)], starts_of(pieces.lengths), np.ones(len(pieces.keys))
    )
    inner = Lattice.of(own, pieces)
    is_whole = (inner.source_depth == 0) & np.isin(inner.target, inner.last) & (inner.depth > 1)
    path = inner.best(pieces.scores, without=is_whole)
    owner = inner.words(path)
    parts = np.bincount(owner, minlength=len(frequency))
    total = frequency.sum()
    seen = np.maximum(frequency, 1e-12)
    each = np.log(np.append(frequency, 0)[inner.piece[path]] + seen[owner])
    then = np.bincount(owner, each, minlength=len(seen)) - parts * np.log(total + seen * (parts - 1))
    return frequency / words.counts.sum() * (np.log(seen) - np.log(total) - then)


def _best(words: WordCounts, pieces: CandidatePieces, alphabet: Sequence[str], size: int) -> list[Scored]:
    """The letters and the most probable pieces; a letter that was never a piece gets the lowest scores."""
    flat = words.codes.astype("<u4").tobytes().decode("utf-32-le")
    named = [flat[begin : begin + length] for begin, length in zip(pieces.begins, pieces.lengths)]
    scored = dict(zip(named, np.round(pieces.scores, 6).tolist()))
    lowest = min(scored.values(), default=0.0)
    letters = {letter: scored.get(letter, lowest - 1e-4 * n) for n, letter in enumerate(alphabet, start=1)}
    others = sorted((item for item in scored.items() if item[0] not in letters), key=lambda i: (-i[1], i[0]))
    kept = {**letters, **dict(others[: max(0, size - len(letters))])}
    return [Scored(p, round(s, 6)) for p, s in sorted(kept.items(), key=lambda item: (-item[1], item[0]))]
