"""Mean squared error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from afterbert.downstream.metrics import MeanMetric


@dataclass(frozen=True)
class SquaredError(MeanMetric):
    """The one measure by which a constant guess is not worthless, hence beside the correlations.

    >>> SquaredError()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    higher_is_better: ClassVar[bool] = False
    is_share: ClassVar[bool] = False

    def of_each(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        return (np.asarray(predictions, np.float64) - np.asarray(truths, np.float64)) ** 2
