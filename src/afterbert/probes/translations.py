"""Which words translate each other, counted in pairs of texts: a dictionary where nobody brings one.

The Dice coefficient (Smadja, McKeown, Hatzivassiloglou 1996): twice the pairs that hold both, by those that hold one
and those that hold the other. `translations` are pairs where each is the other's best, as sure as can be: fastAlign's
place in Conneau et al. 2020 (1911.01464), Section 4.1.2, for texts of which there are few. `word_list` has many forms
of one word, as rows in another language need them.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from afterbert.base.rows import ranges
from afterbert.probes.word_index import UNSPACED_RUN, WordIndex
from afterbert.text.pieces.characters import words as words_in

_LIKELY = 0.3
_EXPLAINED, _BESIDE_BEST = 0.1, 0.2
_ROUNDS = 8
_MOST_CELLS = 40_000_000  # pairs of words that some line holds; they take 2 GB
_LONGEST_GRAM, _MOST_GRAMS = 4, 4
_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc]{2,}")


class WordPair(NamedTuple):
    """A word, what it may be in the other language, the share of that word's places which it explains, and how many
    pairs of texts hold both."""

    word: str
    other: str
    share: float
    num_pairs: int


def translations(left: Sequence[str], right: Sequence[str], *, least: int = 4) -> list[tuple[str, str]]:
    """Returns pairs of words, the surest first, from texts that translate each other line by line. least: how many
    lines must hold both.

    >>> translations(["the mill", "the river", "mill", "river"], ["die Mühle", "die Au", "Mühle", "Au"], least=2)
    [('mill', 'mühle'), ('river', 'au'), ('the', 'die')]
    """
    one, other = (WordIndex.of(texts) for texts in (left, right))
    here, there = ((index.weights > 0).astype(np.float32) for index in (one, other))
    both = (here.T @ there).tocoo()
    of_one, of_other = (np.asarray(counts.sum(axis=0)).ravel() for counts in (here, there))
    dice = 2 * both.data / (of_one[both.row] + of_other[both.col])
    best_one, best_other = np.zeros(len(of_one)), np.zeros(len(of_other))
    np.maximum.at(best_one, both.row, dice)
    np.maximum.at(best_other, both.col, dice)
    is_pair = (dice >= _LIKELY) & (both.data >= least) & (dice == best_one[both.row]) & (dice == best_other[both.col])
    words = [[*index.vocabulary] for index in (one, other)]
    pairs = [
        (-score, words[0][row], words[1][col])
        for score, row, col in zip(dice[is_pair], both.row[is_pair], both.col[is_pair])
    ]
    return [(a, b) for _, a, b in sorted(pairs)]


class WordList(NamedTuple):
    """Words with their translations, and how many of the pairs of texts were read: the shortest, where there are more
    than memory should hold."""

    pairs: list[WordPair]
    num_read: int


def word_list(left: Sequence[str], right: Sequence[str], *, least: int = 3, most: int = 8) -> WordList:
    """Returns for words of `left` what they may be in `right`, from texts that translate each other line by line.

    Every word of `right` stands with the one word of `left` that most likely brought it forth, by IBM's Model 1 (Brown
    et al. 1993, "The Mathematics of Statistical Machine Translation", Section 4.2), so a word has all of its forms.
    Short pairs teach most, and are read first.

    least: how many lines must hold both. most: how many are kept for a word, the surest first; common words stand
    first. Where `right` writes no spaces, whatever of one to four characters is likely counts as a word.

    >>> pairs = [("the mill", "北京的磨坊"), ("a mill", "磨坊"), ("the river", "的河"), ("the mill", "的磨坊")]
    >>> [(pair.word, pair.other) for pair in word_list(*zip(*pairs), least=2).pairs]
    [('mill', '磨坊'), ('the', '的')]
    """
    here, words = _held(left, least)
    there, others = _held(right, least)
    cells = (np.diff(here.indptr) + 1) * np.diff(there.indptr)
    short = np.argsort(cells, kind="stable")
    read = np.sort(short[np.cumsum(cells[short]) <= _MOST_CELLS])
    row, column, counts, chances = _model_1(here[read], there[read])
    seen = np.maximum(np.bincount(column, chances, minlength=len(others)), 1e-9)
    found: dict[str, list[WordPair]] = {}
    best = np.zeros(len(others))
    np.maximum.at(best, column, np.where(row < len(words), chances, 0))
    is_best = (
        (row < len(words)) & (chances == best[column]) & (chances >= _EXPLAINED * seen[column]) & (counts >= least)
    )
    for one, other, chance, count in zip(*(some[is_best].tolist() for some in (row, column, chances, counts))):
        pair = WordPair(words[one], others[other], chance / float(seen[other]), count)
        if pair.word != pair.other and not pair.other.isdigit():
            found.setdefault(pair.word, []).append(pair)
    kept = [
        _apart(sorted(some, key=lambda one: (-round(one.share * one.num_pairs, 3), -len(one.other), one.other)))[:most]
        for some in found.values()
    ]
    common_first = sorted(kept, key=lambda some: (-some[0].num_pairs, some[0].word))
    return WordList([pair for some in common_first for pair in some], len(read))


def _model_1(here: Any, there: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """IBM's Model 1 of texts [N, E] and their translations [N, F], sparse: for each pair of words that some line holds,
    their numbers (E: no word at all), how many lines hold both, and in how many the one is expected to have brought
    forth the other."""
    of_text = np.repeat(np.arange(there.shape[0]), np.diff(there.indptr))
    sizes = np.diff(here.indptr)[of_text]
    entry = np.concatenate((np.repeat(np.arange(len(of_text)), sizes), np.arange(len(of_text))))
    one = np.concatenate((here.indices[ranges(here.indptr[of_text], sizes)], np.full(len(of_text), here.shape[1])))
    keys, pair = np.unique(one.astype(np.int64) * there.shape[1] + there.indices[entry], return_inverse=True)
    row, column = np.divmod(keys, there.shape[1])
    counts = np.bincount(pair)
    chance = np.ones(len(keys))
    for _ in range(_ROUNDS):
        share = chance[pair]
        share /= np.bincount(entry, share)[entry]
        expected = np.bincount(pair, share)
        chance = expected / np.bincount(row, expected)[row]
    return row, column, counts, expected


def _held(texts: Sequence[str], least: int) -> tuple[Any, list[str]]:
    """Which text holds which word, sparse [N, V], and the words [V]: those that `least` texts hold."""
    from scipy import sparse

    numbers: dict[str, int] = {}
    rows, columns = [], []
    for row, text in enumerate(texts):
        for word in dict.fromkeys(_words_and_grams(text)):
            rows.append(row)
            columns.append(numbers.setdefault(word, len(numbers)))
    shape = (len(texts), len(numbers))
    all_of = sparse.coo_array((np.ones(len(rows), np.float32), (rows, columns)), shape).tocsc()
    kept = np.flatnonzero(np.diff(all_of.indptr) >= least)
    words = [*numbers]
    return all_of[:, kept].tocsr(), [words[number] for number in kept.tolist()]


def _words_and_grams(text: str) -> list[str]:
    """Words between spaces, and of what has none every stretch of up to four characters; Katakana, mostly loan words,
    stays together."""
    text = text.lower()
    runs = [part for run in UNSPACED_RUN.findall(text) for part in _KATAKANA.split(run)]
    sizes = range(1, _LONGEST_GRAM + 1)
    grams = [run[at : at + size] for run in runs for size in sizes for at in range(len(run) - size + 1)]
    return [*words_in().findall(UNSPACED_RUN.sub(" ", text)), *_KATAKANA.findall(text), *grams]


def _apart(pairs: Sequence[WordPair]) -> list[WordPair]:
    """Of translations without spaces, the surest first: those that have no two characters in common with a surer
    one."""
    kept: list[WordPair] = []
    for pair in pairs:
        if not UNSPACED_RUN.match(pair.other):
            kept.append(pair)
        elif (
            pair.share * pair.num_pairs >= _BESIDE_BEST * pairs[0].share * pairs[0].num_pairs
            and len(kept) < _MOST_GRAMS
        ):
            kept += [] if any(_overlap(pair.other, one.other) for one in kept) else [pair]
    return kept


def _overlap(one: str, other: str) -> bool:
    """Whether one holds the other, or two neighbouring characters of it.

    >>> _overlap("的磨", "磨坊"), _overlap("的磨坊", "磨坊主"), _overlap("的", "了的")
    (False, True, True)
    """
    return one in other or other in one or any(one[at : at + 2] in other for at in range(len(one) - 1))
