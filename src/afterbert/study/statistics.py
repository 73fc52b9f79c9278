"""How sure a difference between two arms is: over seeds, and over the held-out rows that all arms were asked.

Two things vary from one study to the next: the seeds, and the held-out rows. The variance of a difference is the sum of
both, the seeds' from the paired differences, the rows' from the linearised variance of a ratio of sums (Cochran 1977,
Section 6.3) of the mean over seeds. Their degrees of freedom are put together as Satterthwaite (1946) does, and
Student's t gives the interval. A bootstrap over three seeds has far too short intervals, and a permutation of three
signs cannot go below p = 0.25 (docs/decisions/study-statistics.md, with the trial).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from afterbert.study.made import Measurement

LEVEL = 0.05
POWER = 0.8
_MANY = 1e6  # degrees of freedom where all rows agree
_ROUNDING = 1e-9  # of the values: smaller differences are those of floating point


@dataclass(frozen=True)
class ArmDifference:
    """An arm minus another one, positive where the first is better.

    low, high: the 95% interval; error: standard error; freedom: its degrees of freedom, 0 where nothing tells how far
    luck reaches: a single seed without rows, or seeds that all differ by the same, as shares of few rows do by chance.
    p_equal: two-sided, of no difference; p_large: of a difference of at least the smallest effect of interest (two
    one-sided tests, Schuirmann 1987); p_worse: of being worse by at least that. seen: the smallest true difference that
    this study would have seen with a chance of 80%, whichever of its comparisons it were.
    """

    estimate: float
    low: float
    high: float
    error: float
    freedom: float
    p_equal: float
    p_large: float
    p_worse: float
    seen: float
    values: tuple[float, ...]
    """The difference of each seed."""
    at_floor: bool = False
    """Whether neither arm is better by the smallest effect of interest than a model that learned nothing."""


def difference(
    ours: Sequence[Measurement], theirs: Sequence[Measurement], *, smallest: float, sign: int = 1, comparisons: int = 1
) -> ArmDifference:
    """Compares two arms by their measurements, a seed each in the same order. sign: -1 where less is better;
    comparisons: how many p values Holm will adjust together.

    >>> ours, theirs = ([Measurement(value) for value in values] for values in ([0.5, 0.52, 0.54], [0.4, 0.43, 0.43]))
    >>> found = difference(ours, theirs, smallest=0.01)
    >>> round(found.estimate, 3), found.low > 0, found.freedom
    (0.1, True, 2.0)
    """
    values = sign * np.array([a.value - b.value for a, b in zip(ours, theirs, strict=True)])
    largest = max(abs(one.value) for one in (*ours, *theirs))
    varies = len(values) > 1 and float(np.ptp(values)) > _ROUNDING * largest
    parts = [(float(values.var(ddof=1)) / len(values), len(values) - 1)] if varies else []
    rows = _row_variance(ours, theirs)
    if rows is not None:
        parts.append(rows)
    found = _summary(float(values.mean()), parts, smallest, tuple(values.tolist()), comparisons)
    return replace(found, at_floor=not any(_is_off_floor(arm, smallest, sign) for arm in (ours, theirs)))


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Returns the mean and the sample standard deviation; None for that of a single value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def holm(ps: Sequence[float]) -> list[float]:
    """Returns each p adjusted by Holm (1979), where all of them are asked at once.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(ps)
    found, highest = np.empty(len(ps)), 0.0
    for place, number in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - place) * ps[number]))
        found[number] = highest
    return found.tolist()


def smallest_seen(deviation: float, seeds: int, *, comparisons: int = 1) -> float:
    """Returns the difference between two arms that would be seen with a probability of 80%, from the standard deviation
    of one arm over its seeds, if seeds were not paired. A pilot arm tells it before the others are run."""
    freedom = max(1, seeds - 1)
    return deviation * float(np.sqrt(2 / seeds)) * _seen_factor(freedom, comparisons)


def _seen_factor(freedom: float, comparisons: int = 1) -> float:
    return float(stats.t.ppf(1 - LEVEL / 2 / comparisons, freedom) + stats.t.ppf(POWER, freedom))


def _is_off_floor(arm: Sequence[Measurement], smallest: float, sign: int) -> bool:
    """Whether the mean of an arm is better by `smallest` than its floor; True where no floor is known."""
    above = [sign * (one.value - one.floor) for one in arm if one.floor is not None]
    return len(above) < len(arm) or float(np.mean(above)) >= smallest


def _row_variance(ours: Sequence[Measurement], theirs: Sequence[Measurement]) -> tuple[float, int] | None:
    """The variance of the mean difference over other rows, and its degrees of freedom; None where rows are not known or
    not the same."""
    counts = np.array(ours[0].counts)
    same = all(np.array_equal(one.counts, counts) and one.keys == ours[0].keys for one in (*ours, *theirs))
    if len(counts) < 2 or not same:
        return None
    gains = np.mean([np.subtract(a.scores, b.scores) for a, b in zip(ours, theirs)], axis=0)
    excess = gains - gains.sum() / counts.sum() * counts
    rows = len(counts)
    return float(rows / (rows - 1) * (excess**2).sum() / counts.sum() ** 2), rows - 1


def _summary(
    estimate: float, parts: Sequence[tuple[float, int]], smallest: float, values: tuple[float, ...], comparisons: int
) -> ArmDifference:
    variance = sum(part for part, _ in parts)
    if not parts:
        return ArmDifference(estimate, -np.inf, np.inf, np.inf, 0.0, 1.0, 1.0, 1.0, np.inf, values)
    below = sum(part**2 / freedom for part, freedom in parts)
    freedom = float(variance**2 / below) if below > 0 else _MANY
    error = float(np.sqrt(variance))
    half = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error

    def above(value: float) -> float:
        """p that the true difference is at most `value`."""
        return float(stats.t.sf((estimate - value) / error, freedom)) if error > 0 else float(estimate <= value)

    return ArmDifference(
        estimate=estimate,
        low=estimate - half,
        high=estimate + half,
        error=error,
        freedom=freedom,
        p_equal=min(1.0, 2 * min(above(0.0), 1 - above(0.0))) if error > 0 else float(estimate == 0),
        p_large=max(above(-smallest), 1 - above(smallest)),
        p_worse=above(-smallest),
        seen=_seen_factor(freedom, comparisons) * error,
        values=values,
    )
