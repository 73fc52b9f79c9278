"""Mean reciprocal rank of the first relevant candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric


@dataclass(frozen=True)
class ReciprocalRank(Metric):
    """A prediction is the candidates' numbers, best first; a truth the numbers of the relevant ones.

    >>> ReciprocalRank()([(2, 0, 1), (0, 1)], [(0,), (0, 1)])
    0.75
    """

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """[N, 2]: 1 / rank, 1."""
        out = np.ones((len(truths), 2))
        for row, (order, relevant) in enumerate(zip(predictions, truths, strict=True)):
            rank = next((i for i, number in enumerate(order, 1) if number in relevant), None)
            out[row, 0] = 1 / rank if rank else 0.0
        return out

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Their mean."""
        return sums[..., 0] / sums[..., 1]
