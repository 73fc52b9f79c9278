"""Mean squared error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from afterbert.downstream.metrics import Metric


@dataclass(frozen=True)
class SquaredError(Metric):
    """The one measure by which a constant guess is not worthless, hence beside the correlations.

    >>> SquaredError()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    higher_is_better: ClassVar[bool] = False
    is_share: ClassVar[bool] = False

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """[N, 2]: squared error, 1."""
        errors = np.asarray(predictions, np.float64) - np.asarray(truths, np.float64)
        return np.stack([errors**2, np.ones(len(errors))], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        """Their mean."""
        return sums[..., 0] / sums[..., 1]
