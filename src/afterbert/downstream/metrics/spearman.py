"""Spearman correlation: Pearson's of the ranks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics.pearson import Pearson


@dataclass(frozen=True)
class Spearman(Metric):
    """Ties share their mean rank. In a bootstrap sample an example keeps its rank in the whole set, so that
    samples need no sorting.

    >>> round(Spearman()([1.0, 20.0, 300.0], [1.0, 2.0, 3.0]), 12)
    1.0
    """

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """[N, 6]: those of Pearson for the ranks."""
        return Pearson().statistics(_ranks(predictions).tolist(), _ranks(truths).tolist())

    def value(self, sums: np.ndarray) -> np.ndarray:
        """The correlation of the ranks."""
        return Pearson().value(sums)


def _ranks(numbers: Sequence[Any]) -> np.ndarray:
    """float64 [N]: mean rank from 1.

    >>> _ranks([5, 1, 5]).tolist()
    [2.5, 1.0, 2.5]
    """
    _, where, counts = np.unique(np.asarray(numbers, dtype=np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[where]
