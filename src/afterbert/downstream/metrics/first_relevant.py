"""Share of queries whose best-ranked candidate is relevant (precision at 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric


@dataclass(frozen=True)
class FirstRelevant(Metric):
    """Predictions and truths as for the reciprocal rank.

    >>> FirstRelevant()([(2, 0, 1), (0, 1)], [(0,), (0, 1)])
    0.5
    """

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """[N, 2]: relevant or not, 1."""
        right = [order[0] in relevant for order, relevant in zip(predictions, truths, strict=True)]
        return np.stack([np.array(right, float), np.ones(len(right))], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Relevant / all."""
        return sums[..., 0] / sums[..., 1]
