"""Matthews correlation: a correlation of predicted and true classes, 0 for any constant guess (CoLA's measure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric, confusion, ratio


@dataclass(frozen=True)
class Matthews(Metric):
    """For any number of classes: R_K of Gorodkin (2004), which is Matthews' (1975) phi for two.

    >>> Matthews()(["1", "1", "0", "0"], ["1", "1", "0", "0"])
    1.0
    """

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        return confusion(predictions, truths)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Returns the correlation, in [-1, 1]; 0 where predictions or truths are constant."""
        hits, predicted, true = np.split(sums, 3, axis=-1)
        total = true.sum(axis=-1)
        covariance = hits.sum(axis=-1) * total - (predicted * true).sum(axis=-1)
        spread = (total**2 - (predicted**2).sum(axis=-1)) * (total**2 - (true**2).sum(axis=-1))
        return ratio(covariance, np.sqrt(np.maximum(spread, 0)))
