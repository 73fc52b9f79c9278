"""Share of queries whose best-ranked candidate is relevant (precision at 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afterbert.downstream.metrics import MeanMetric


@dataclass(frozen=True)
class FirstRelevant(MeanMetric):
    """Predictions and truths as for the reciprocal rank.

    >>> FirstRelevant()([(2, 0, 1), (0, 1)], [(0,), (0, 1)])
    0.5
    """

    def of_each(self, predictions: Sequence[Any], truths: Sequence[Any]) -> list[float]:
        return [float(order[0] in relevant) for order, relevant in zip(predictions, truths, strict=True)]
