"""F1 of classes: harmonic mean of precision and recall, of one class or averaged over classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from afterbert.downstream.metrics import Metric, confusion, ratio


@dataclass(frozen=True)
class F1(Metric):
    """average: `binary` (of the class `positive` alone), `macro` (mean over the classes that occur) or
    `micro` (all classes in one pot; with one label an example that is accuracy). Where a row may have several labels,
    predictions and truths are tuples of them.

    >>> F1(positive="1")(["1", "1", "0"], ["1", "0", "0"])
    0.6666666666666666
    >>> F1("micro")([("a", "b"), ()], [("a",), ("b",)])
    0.5
    """

    average: Literal["binary", "macro", "micro"] = "binary"
    positive: str = "1"

    @property
    def name(self) -> str:
        """`f1_macro`, `f1_micro`, or `f1` of the class that counts as positive."""
        return "f1" if self.average == "binary" else f"f1_{self.average}"

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        if self.average == "binary":
            predictions = [str(prediction) == self.positive for prediction in predictions]
            truths = [str(truth) == self.positive for truth in truths]
            hits = [prediction and truth for prediction, truth in zip(predictions, truths, strict=True)]
            return np.array([hits, predictions, truths], float).T
        return confusion(predictions, truths)

    def value(self, sums: np.ndarray) -> np.ndarray:
        hits, predicted, true = np.split(sums, 3, axis=-1)
        if self.average == "micro":
            hits, predicted, true = (part.sum(axis=-1, keepdims=True) for part in (hits, predicted, true))
        by_class = ratio(2 * hits, predicted + true)
        # A class that a bootstrap sample does not hold has no F1 there.
        occurs = (predicted + true > 0).sum(axis=-1)
        return ratio(by_class.sum(axis=-1), occurs)
