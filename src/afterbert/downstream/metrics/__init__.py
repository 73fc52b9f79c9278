"""Measures of predictions against truths. Each adds up over examples, which is what makes its bootstrap one
matrix product."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from afterbert.base import plugins


class Metric(ABC):
    """A frozen config in two halves: what one example contributes, and what the sums of the contributions are
    worth.

    Shares are fractions (0.91, not 91), also where a field is used to percent. Nothing raises on a degenerate
    sample: 0/0 is 0.
    """

    higher_is_better: ClassVar[bool] = True
    is_share: ClassVar[bool] = True
    """Whether its values lie between 0 and 1 (or -1 and 1) and are printed in percent."""

    @property
    def name(self) -> str:
        """Its name in tables and results.json; distinct for distinct settings."""
        return plugins.name_of(self)

    @abstractmethod
    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        """float64 [N, S], one line for each example. Predictions and truths [N] are in the terms of the
        task's labels."""

    @abstractmethod
    def value(self, sums: np.ndarray) -> np.ndarray:
        """From sums of statistics over examples [..., S] to the measure [...]."""

    def __call__(self, predictions: Sequence[Any], truths: Sequence[Any]) -> float:
        """The measure over all examples; 0 for none."""
        assert len(predictions) == len(truths), "one prediction for each truth"
        if not len(truths):
            return 0.0
        return float(self.value(self.statistics(predictions, truths).sum(axis=0)))


def in_print(name: str, value: float) -> str:
    """A value of the metric called `name` as tables show it: a share in percent, anything else as it is.

    >>> in_print("accuracy", 0.913), in_print("f1_macro", 0.5), in_print("squared_error", 0.25)
    ('91.3', '50.0', '0.250')
    """
    is_share = name not in plugins.names(Metric) or plugins.find(Metric, name).is_share
    return f"{100 * value:.1f}" if is_share else f"{value:.3f}"


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, and 0 where below is 0.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    return np.divide(
        above, below, out=np.zeros(np.broadcast(above, below).shape), where=np.asarray(below) != 0
    )


def codes(predictions: Sequence[Any], truths: Sequence[Any]) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """Class numbers of predictions [N] and truths [N], and the classes that occur in either, sorted by their
    text.

    >>> codes(["b", "a"], ["a", "a"])
    (array([1, 0]), array([0, 0]), ['a', 'b'])
    """
    classes = sorted({*predictions, *truths}, key=str)
    number = {name: i for i, name in enumerate(classes)}
    return (
        np.array([number[name] for name in predictions], dtype=np.int64),
        np.array([number[name] for name in truths], dtype=np.int64),
        classes,
    )


def confusion(predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
    """float64 [N, 3 K] for the K classes that occur: one-hot of hits, of predictions, of truths."""
    predicted, true, classes = codes(predictions, truths)
    size, rows = len(classes), np.arange(len(true))
    out = np.zeros((len(true), 3 * size))
    out[rows[predicted == true], predicted[predicted == true]] = 1
    out[rows, size + predicted] = 1
    out[rows, 2 * size + true] = 1
    return out
