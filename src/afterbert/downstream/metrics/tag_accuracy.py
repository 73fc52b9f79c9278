"""Share of words with the right tag."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric, ratio


@dataclass(frozen=True)
class TagAccuracy(Metric):
    """Words a prediction does not reach (rows cut at the length) count as wrong.

    >>> TagAccuracy()([["NOUN", "VERB"], ["X"]], [["NOUN", "NOUN"], ["X", "X"]])
    0.5
    """

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        right = [sum(p == t for p, t in zip(tags, true)) for tags, true in zip(predictions, truths)]
        return np.array([right, [len(true) for true in truths]], float).T

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums[..., 0], sums[..., 1])
