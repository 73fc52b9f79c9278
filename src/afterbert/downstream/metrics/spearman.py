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
        from scipy.stats import rankdata  # takes half a second

        return Pearson().statistics(rankdata(predictions), rankdata(truths))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return Pearson().value(sums)
