"""How sure a figure is: mean and spread over seeds, and bootstrap intervals over examples (and seeds).

Source: Efron (1979); paired resampling of test examples as in Koehn (2004) and Berg-Kirkpatrick et al. (2012).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.base.noise import Noise
from afterbert.downstream.metrics import Metric

_CELLS_AT_ONCE = 4_000_000
_RESAMPLES, _LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Spread:
    """A figure over seeds. deviation: sample standard deviation, None for a single seed."""

    values: tuple[float, ...]
    mean: float
    deviation: float | None

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + (f" ± {self.deviation:.4f}" if self.deviation is not None else "")


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap percentile interval. above: share of the resamples in which it was over
    0, ties half."""

    estimate: float
    low: float
    high: float
    above: float
    level: float
    num_resamples: int

    def __str__(self) -> str:
        return f"{self.estimate:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def over_seeds(values: Sequence[float]) -> Spread:
    """Returns the mean and spread of one value per seed.

    >>> str(over_seeds([0.5, 0.7])), str(over_seeds([0.5]))
    ('0.6000 ± 0.1414', '0.5000')
    """
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(tuple(map(float, values)), float(np.mean(values)), deviation)


def interval(
    metric: Metric,
    runs: Sequence[Sequence[Any]],
    truths: Sequence[Any],
    *,
    noise: Noise,
    num_resamples: int = _RESAMPLES,
    level: float = _LEVEL,
) -> Interval:
    """Returns the metric's mean over the seeds' predictions `runs` [seeds][N], and its interval over examples and
    seeds."""
    stacked = _stacked(metric, runs, truths)
    scores = _resampled(metric, [stacked], noise, num_resamples)[0]
    return _summary(metric.value(stacked.sum(axis=1)).mean(), scores, level)


def paired_interval(
    metric: Metric,
    ours: Sequence[Sequence[Any]],
    theirs: Sequence[Sequence[Any]],
    truths: Sequence[Any],
    *,
    noise: Noise,
) -> Interval:
    """Returns `ours` minus `theirs` (predictions [seeds][N] of the same examples) with its interval. Every resample
    draws one set of examples for both sides, and seeds for each side on its own. A positive value means that the metric
    is higher for ours.

    >>> from afterbert.downstream.metrics.accuracy import Accuracy
    >>> truths = ["a", "b"] * 50
    >>> found = paired_interval(Accuracy(), [truths], [["a"] * 100], truths, noise=Noise(0))
    >>> found.estimate, found.above, 0.3 < found.low < 0.5 < found.high < 0.7
    (0.5, 1.0, True)
    """
    left, right = _stacked(metric, ours, truths), _stacked(metric, theirs, truths)
    scores = _resampled(metric, [left, right], noise, _RESAMPLES)
    estimate = metric.value(left.sum(axis=1)).mean() - metric.value(right.sum(axis=1)).mean()
    return _summary(estimate, scores[0] - scores[1], _LEVEL)


def _stacked(metric: Metric, runs: Sequence[Sequence[Any]], truths: Sequence[Any]) -> np.ndarray:
    """float64 [seeds, N, S]."""
    assert len(runs) and len(truths), "an interval needs predictions"
    # All runs in one call: a metric may number the classes that occur, and runs must agree on the numbers.
    together = metric.statistics([one for run in runs for one in run], [*truths] * len(runs))
    return together.reshape(len(runs), len(truths), -1)


def _resampled(metric: Metric, sides: list[np.ndarray], noise: Noise, num_resamples: int) -> np.ndarray:
    """float64 [sides, R]: each side's score in each resample."""
    num_examples = sides[0].shape[1]
    scores = np.empty((len(sides), num_resamples))
    for chosen, weights in _weights(noise, num_resamples, num_examples):
        for number, side in enumerate(sides):
            seeds = len(side)
            flat = side.transpose(1, 0, 2).reshape(num_examples, -1)
            by_seed = metric.value((weights @ flat).reshape(len(chosen), seeds, -1))
            drawn = noise.of(f"seeds{number}").integers(seeds, chosen[:, None], np.arange(seeds)[None])
            scores[number, chosen] = np.take_along_axis(by_seed, drawn, axis=1).mean(axis=1)
    return scores


def _weights(noise: Noise, num_resamples: int, num_examples: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of resamples [r] and how often each holds each example [r, N], in portions of bounded memory."""
    portion = max(1, _CELLS_AT_ONCE // num_examples)
    for begin in range(0, num_resamples, portion):
        chosen = np.arange(begin, min(begin + portion, num_resamples))
        drawn = noise.of("examples").integers(num_examples, chosen[:, None], np.arange(num_examples)[None])
        cells = (drawn + (chosen - begin)[:, None] * num_examples).ravel()
        counts = np.bincount(cells, minlength=len(chosen) * num_examples)
        yield chosen, counts.reshape(len(chosen), num_examples).astype(np.float64)


def _summary(estimate: float, scores: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    above = float((scores > 0).mean() + (scores == 0).mean() / 2)
    return Interval(float(estimate), float(low), float(high), above, level, len(scores))
