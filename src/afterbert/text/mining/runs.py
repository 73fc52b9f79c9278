"""Runs of words that occur often: how often, how firmly their parts hang together, how free they stand."""

from dataclasses import dataclass

import numpy as np

from afterbert.base.rows import flags_at
from afterbert.text.mining.stream import WordStream
from afterbert.text.planes._words import followed_by


@dataclass(frozen=True)
class Runs:
    """R different runs of `size` words. numbers: int32 [W], of the run that begins at a word, or -1; counts:
    int64 [R]; first: int64 [R], the word at which a run occurs first."""

    size: int
    numbers: np.ndarray
    counts: np.ndarray
    first: np.ndarray

    def places(self, is_wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns where the wanted [R] runs begin, int64 [N], and which one each is, int32 [N]."""
        places = np.flatnonzero(np.append(is_wanted, False)[self.numbers])
        return places, self.numbers[places]


def runs_of(stream: WordStream, *, max_words: int, min_count: int) -> list[Runs]:
    """Returns the runs of 1, 2, ... max_words words that occur at least min_count times. They hold no line end, and no
    mark but those that join words.

    A run can only be as frequent as its parts, so those of n words are counted where both runs of n - 1 are left.
    """
    places = np.flatnonzero(stream.is_word | stream.is_tie)
    found = [_counted(1, stream.words[places], places, len(stream.words), min_count)]
    for size in range(2, max_words + 1):
        shorter = found[-1].numbers
        places = np.flatnonzero((shorter[:-1] >= 0) & (shorter[1:] >= 0) & stream.follows[1:])
        keys = shorter[places].astype(np.int64) << 32 | shorter[places + 1]
        found.append(_counted(size, keys, places, len(shorter), min_count))
    return found


def _counted(size: int, keys: np.ndarray, places: np.ndarray, num_words: int, min_count: int) -> Runs:
    _, first, run_of, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    kept = counts >= min_count
    numbers = np.full(num_words, -1, dtype=np.int32)
    numbers[places] = np.where(kept, np.cumsum(kept) - 1, -1)[run_of]
    return Runs(size, numbers, counts[kept], places[first[kept]])


def cohesion(found: list[Runs], size: int, num_words: int) -> np.ndarray:
    """Returns the mutual information of the parts of runs of this size at the weakest cut, float64 [R], in bits."""
    runs = found[size - 1]
    weakest = np.full(len(runs.counts), np.inf)
    for cut in range(1, size):
        left, right = found[cut - 1], found[size - cut - 1]
        parts = np.log2(left.counts[left.numbers[runs.first]])
        parts += np.log2(right.counts[right.numbers[runs.first + cut]])
        weakest = np.minimum(weakest, np.log2(runs.counts) + np.log2(num_words) - parts)
    return weakest


def freedom(runs: Runs, is_wanted: np.ndarray, stream: WordStream) -> np.ndarray:
    """Returns the smaller of the entropies of the left and right neighbours, float64 [R], in bits; 0 for runs that are
    not wanted [R]."""
    places, numbers = runs.places(is_wanted)
    may_stand = np.append(stream.is_word | stream.is_tie, False)
    words, follows = np.append(stream.words, -1), np.append(stream.follows, False)
    before, after = places - 1, places + runs.size
    left = _entropy(runs.counts, numbers, words[before], follows[places] & may_stand[before])
    right = _entropy(runs.counts, numbers, words[after], follows[after] & may_stand[after])
    return np.where(is_wanted, np.minimum(left, right), 0.0)


def _entropy(counts: np.ndarray, numbers: np.ndarray, neighbours: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """float64 [R]: entropy of the neighbours [N] of the runs with these numbers [N]; one that is not known is
    like no other."""
    pairs = numbers[is_known].astype(np.int64) << 32 | neighbours[is_known]
    different, times = np.unique(pairs, return_counts=True)
    repeated = np.bincount(different >> 32, times * np.log2(times), minlength=len(counts))
    return np.log2(counts) - repeated / counts


def most_usual(runs: Runs, wanted: np.ndarray, stream: WordStream) -> np.ndarray:
    """Returns for each of these runs [M] a place where it is written in its most frequent way, int64 [M]; the first way
    of several."""
    places, numbers = runs.places(flags_at(wanted, len(runs.counts)))
    written = numbers.astype(np.uint64)
    for step in range(runs.size):
        written = followed_by(written, stream.forms[places + step].astype(np.uint64))
    _, first, times = np.unique(written, return_index=True, return_counts=True)
    order = np.lexsort((first, -times, numbers[first]))
    runs_found, best = np.unique(numbers[first[order]], return_index=True)
    return places[first[order[best]]][np.searchsorted(runs_found, wanted)]
