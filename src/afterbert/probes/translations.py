"""Which words translate each other, counted in pairs of texts: a dictionary where nobody brings one.

The Dice coefficient (Smadja, McKeown, Hatzivassiloglou 1996): twice the pairs that hold both, by those that hold one
and those that hold the other. A pair of words counts where each is the other's best. fastAlign's place in Conneau et
al. 2020 (1911.01464), Section 4.1.2, for texts of which there are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from afterbert.base.errors import UserError
from afterbert.probes.word_index import WordIndex

_LIKELY = 0.3


def translations(left: Sequence[str], right: Sequence[str], *, least: int = 4) -> list[tuple[str, str]]:
    """Pairs of words from texts that translate each other line by line, the surest first. least: how many lines must
    hold both.

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
    words = [sorted(index.vocabulary, key=index.vocabulary.__getitem__) for index in (one, other)]
    pairs = [
        (-score, words[0][row], words[1][col])
        for score, row, col in zip(dice[is_pair], both.row[is_pair], both.col[is_pair])
    ]
    return [(a, b) for _, a, b in sorted(pairs)]


def read_dictionary(path: Path) -> list[tuple[str, str]]:
    """Pairs of words from a file with a word, a tab or spaces (as MUSE writes them), and its translation in each line.
    Raises UserError."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); name a file of word pairs in UTF-8") from error
    pairs = []
    for number, line in enumerate(lines, start=1):
        words = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            continue
        if len(words) < 2 or not (words[0].strip() and words[1].strip()):
            raise UserError(f"{path}:{number}: is no word and its translation; write both, with a tab between")
        pairs.append((words[0].strip().lower(), words[1].strip().lower()))
    if not pairs:
        raise UserError(f"{path} holds no pair of words; write a word, a tab and its translation in each line")
    return list(dict.fromkeys(pairs))
