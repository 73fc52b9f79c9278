"""Mean reciprocal rank of the first relevant candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afterbert.downstream.metrics import MeanMetric


@dataclass(frozen=True)
class ReciprocalRank(MeanMetric):
    """A prediction is the candidates' numbers, best first; a truth the numbers of the relevant ones.

    >>> ReciprocalRank()([(2, 0, 1), (0, 1)], [(0,), (0, 1)])
    0.75
    """

    def of_each(self, predictions: Sequence[Any], truths: Sequence[Any]) -> list[float]:
        pairs = zip(predictions, truths, strict=True)
        return [
            next((1 / rank for rank, number in enumerate(order, 1) if number in relevant), 0.0)
            for order, relevant in pairs
        ]
