"""Pearson correlation of predicted and true numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.downstream.metrics import Metric, ratio

# A spread this small beside the numbers' own size is rounding, not variation.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Pearson(Metric):
    """0 where either side is constant (the mean as a guess correlates with nothing).

    >>> round(Pearson()([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]), 12), Pearson()([1.0, 1.0], [0.0, 5.0])
    (1.0, 0.0)
    """

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """Returns sums [N, 6]: 1, p, t, p p, t t, p t, with both sides shifted and scaled over the whole set, which
        changes only rounding."""
        predicted, true = _standard(predictions), _standard(truths)
        return np.stack([np.ones(len(true)), predicted, true, predicted**2, true**2, predicted * true], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        count, p, t, pp, tt, pt = np.moveaxis(sums, -1, 0)
        spread_p, spread_t = count * pp - p**2, count * tt - t**2
        is_constant = (spread_p <= _ROUNDING * count * pp) | (spread_t <= _ROUNDING * count * tt)
        below = np.sqrt(np.maximum(spread_p, 0) * np.maximum(spread_t, 0))
        return np.clip(ratio(count * pt - p * t, np.where(is_constant, 0.0, below)), -1.0, 1.0)


def _standard(numbers: Sequence[Any]) -> np.ndarray:
    values = np.asarray(numbers, dtype=np.float64)
    shifted = values - values.mean()
    spread = np.abs(shifted).max()
    return shifted / spread if spread > _ROUNDING * np.abs(values).max() else np.zeros_like(values)
