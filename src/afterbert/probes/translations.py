"""Which words translate each other, counted in pairs of texts: a dictionary where nobody brings one.

The Dice coefficient (Smadja, McKeown, Hatzivassiloglou 1996): twice the pairs that hold both, by those that hold one
and those that hold the other. A pair of words counts where each is the other's best. fastAlign's place in Conneau et
al. 2020 (1911.01464), Section 4.1.2, for texts of which there are few.
"""

from collections.abc import Sequence

import numpy as np

from afterbert.probes.word_index import WordIndex

_LIKELY = 0.3


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
