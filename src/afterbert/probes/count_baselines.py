"""What counting alone can guess: the most frequent piece, and the most frequent piece between two given neighbours.

A masked language model is worth its training only if it beats both; they are printed beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class ContextTable:
    """Contexts [K], sorted, and for each the piece seen most often there [K]."""

    contexts: np.ndarray
    best: np.ndarray

    @staticmethod
    def count(contexts: np.ndarray, pieces: np.ndarray, vocab_size: int) -> ContextTable:
        """Returns a table of N observations (context [N], piece [N]). The smaller id wins a tie.

        >>> table = ContextTable.count(np.array([7, 7, 7, 2]), np.array([1, 3, 3, 0]), vocab_size=5)
        >>> table.look_up(np.array([2, 7, 9]), otherwise=np.array([4, 4, 4])).tolist()
        [0, 3, 4]
        """
        pairs, counts = np.unique(contexts.astype(np.int64) * vocab_size + pieces, return_counts=True)
        context = pairs // vocab_size
        by_context_then_count = np.lexsort((-counts, context))
        ordered = context[by_context_then_count]
        first = np.flatnonzero(np.diff(ordered, prepend=-1))
        return ContextTable(ordered[first], (pairs % vocab_size)[by_context_then_count][first])

    def look_up(self, contexts: np.ndarray, *, otherwise: np.ndarray) -> np.ndarray:
        """Returns the best guess for each context [N], or `otherwise` [N] where it was never seen."""
        if len(self.contexts) == 0:
            return otherwise
        at = np.minimum(np.searchsorted(self.contexts, contexts), len(self.contexts) - 1)
        return np.where(self.contexts[at] == contexts, self.best[at], otherwise)


@dataclass(frozen=True)
class CountBaselines:
    """Counted once on the training split, by `count`."""

    vocab_size: int
    most_frequent: int
    between: ContextTable
    after: ContextTable
    before: ContextTable

    @staticmethod
    def count(split: Split, vocab_size: int, *, most: int = 5_000_000) -> CountBaselines:
        """Counts the first `most` pieces of the split: single pieces, (left, right) pairs, and each neighbour alone."""
        pieces = split.pieces(np.arange(min(most, split.num_pieces))).astype(np.int64)
        return CountBaselines.of(pieces, vocab_size, np.ones(len(pieces), dtype=bool))

    @staticmethod
    def of(pieces: np.ndarray, vocab_size: int, counts: np.ndarray) -> CountBaselines:
        """Returns the baselines counted from a text of pieces, int64 [T]; counts: bool [T], the pieces that may be
        guessed."""
        total = np.bincount(pieces[counts], minlength=vocab_size)
        left, middle, right = pieces[:-2], pieces[1:-1], pieces[2:]
        inner, second, first = counts[1:-1], counts[1:], counts[:-1]
        between = (left * vocab_size + right)[inner]
        return CountBaselines(
            vocab_size=vocab_size,
            most_frequent=int(total.argmax()),
            between=ContextTable.count(between, middle[inner], vocab_size),
            after=ContextTable.count(pieces[:-1][second], pieces[1:][second], vocab_size),
            before=ContextTable.count(pieces[1:][first], pieces[:-1][first], vocab_size),
        )

    def guess(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Returns the piece most often seen between `left` and `right` [N]; -1 stands for a neighbour that is not
        visible. It falls back to the left neighbour alone, then the right one, then the most frequent piece."""
        guess = np.full(len(left), self.most_frequent, dtype=np.int64)
        guess = self.before.look_up(right, otherwise=guess)
        guess = self.after.look_up(left, otherwise=guess)
        both = np.where((left >= 0) & (right >= 0), left * self.vocab_size + right, -1)
        return self.between.look_up(both, otherwise=guess)
