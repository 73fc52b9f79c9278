"""Measures of predictions against truths. Each adds up over examples, which is what makes its bootstrap one
matrix product."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from afterbert.base import plugins


class Metric(ABC):
    """A frozen config in two halves: what one example contributes, and what the sums of the contributions are worth.

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
        """Returns the statistics of each example, float64 [N, S]. Predictions and truths [N] are in terms of the task's
        labels."""

    @abstractmethod
    def value(self, sums: np.ndarray) -> np.ndarray:
        """Returns the measure [...] from sums of statistics over examples [..., S]."""

    def __call__(self, predictions: Sequence[Any], truths: Sequence[Any]) -> float:
        """The measure over all examples; 0 for none."""
        assert len(predictions) == len(truths), "one prediction for each truth"
        if not len(truths):
            return 0.0
        return float(self.value(self.statistics(predictions, truths).sum(axis=0)))


class MeanMetric(Metric):
    """The mean over examples of what each is worth."""

    @abstractmethod
    def of_each(self, predictions: Sequence[Any], truths: Sequence[Any]) -> Sequence[float] | np.ndarray:
        """Returns the worth of each prediction, [N]."""

    def statistics(self, predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
        worth = np.asarray(self.of_each(predictions, truths), dtype=np.float64)
        return np.stack([worth, np.ones(len(worth))], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return sums[..., 0] / sums[..., 1]


def in_print(name: str, value: float) -> str:
    """Returns a value of the metric called `name` as tables show it: a share in percent, anything else unchanged.

    >>> in_print("accuracy", 0.913), in_print("f1_macro", 0.5), in_print("squared_error", 0.25)
    ('91.3', '50.0', '0.250')
    """
    return f"{100 * value:.1f}" if is_share(name) else f"{value:.3f}"


def is_share(name: str) -> bool:
    """Returns whether values of the metric called `name` are printed in percent."""
    return name not in plugins.names(Metric) or plugins.find(Metric, name).is_share


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Returns above / below, and 0 where below is 0.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=np.asarray(below) != 0)


def confusion(predictions: Sequence[Any], truths: Sequence[Any]) -> np.ndarray:
    """Returns counts, float64 [N, 3 K], for the K classes that occur: hits, predictions and truths of each, 0 or 1. A
    prediction or truth is a class, or a tuple of any number of classes.

    >>> confusion([("a", "b"), ()], [("a",), ("b",)]).tolist()
    [[1.0, 0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    guessed, wanted = ([one if isinstance(one, tuple) else (one,) for one in a] for a in (predictions, truths))
    classes = sorted({name for one in (*guessed, *wanted) for name in one}, key=str)
    column = {name: i for i, name in enumerate(classes)}
    predicted, true = (np.zeros((len(wanted), len(classes))) for _ in range(2))
    for table, rows in ((predicted, guessed), (true, wanted)):
        row_of = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
        table[row_of, np.array([column[name] for one in rows for name in one], dtype=np.int64)] = 1
    return np.hstack((predicted * true, predicted, true))
