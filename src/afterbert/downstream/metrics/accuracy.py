"""Share of predictions that are right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afterbert.downstream.metrics import MeanMetric


@dataclass(frozen=True)
class Accuracy(MeanMetric):
    """
    >>> Accuracy()(["a", "b", "b", "a"], ["a", "b", "a", "b"])
    0.5
    """

    def of_each(self, predictions: Sequence[Any], truths: Sequence[Any]) -> list[float]:
        return [float(prediction == truth) for prediction, truth in zip(predictions, truths, strict=True)]
