"""Share of predictions that are right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric


@dataclass(frozen=True)
class Accuracy(Metric):
    """
    >>> Accuracy()(["a", "b", "b", "a"], ["a", "b", "a", "b"])
    0.5
    """

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """[N, 2]: right or not, 1."""
        right = [prediction == truth for prediction, truth in zip(predictions, truths, strict=True)]
        return np.stack([np.array(right, float), np.ones(len(right))], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Right / all."""
        return sums[..., 0] / sums[..., 1]
