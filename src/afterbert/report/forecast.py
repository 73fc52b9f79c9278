"""How much longer a run would have to be to reach a figure, read off its own curve on held-out text.

The curve is taken to rise with the logarithm of the steps, as shares of right answers do over wide stretches; the slope
is that of the run's last three quarters. Nothing is said where this does not carry: a slope that may be none, a curve
that bends (its last third is not where a line through the rest leads), or a goal more than `_FARTHEST` times as far.
"""

import math
from dataclasses import dataclass

import numpy as np

from afterbert.report import figures
from afterbert.report.metrics import MetricsTable

_FEWEST, _FARTHEST, _DEVIATIONS = 8, 10.0, 2.0


@dataclass(frozen=True)
class Forecast:
    """Seconds of training beside those that were: the likeliest, and the least and most within two deviations of the
    slope."""

    likely: float
    least: float
    most: float

    def __str__(self) -> str:
        span = f"{figures.duration(self.least)} to {figures.duration(self.most)}"
        return f"about {figures.duration(self.likely)} more ({span}) would draw level, should it go on rising as it has"


def forecast(metrics: MetricsTable, measure: str, gap: float) -> Forecast | None:
    """Returns the time in which a share of right answers rises by `gap`; None if the curve does not tell."""
    seconds, last = metrics.last("seconds"), metrics.last("step")
    told = [e for e in metrics.evaluations if math.isfinite(e.measures.get(measure, math.nan))]
    told = [e for e in told if last and e.step >= max(1, last / 4)]
    if not last or not seconds or len(told) < _FEWEST:
        return None
    steps = np.log([e.step for e in told])
    values = np.array([e.measures[measure] for e in told])
    slope, error, _ = _line(steps, values)
    early = 2 * len(told) // 3
    before, _, scatter = _line(steps[:early], values[:early])
    led_to = values[:early].mean() + before * (steps[early:].mean() - steps[:early].mean())
    bends = abs(values[early:].mean() - led_to) > max(3 * scatter, gap / 2)
    if bends or slope - _DEVIATIONS * error <= 0 or gap / slope > math.log(_FARTHEST):
        return None
    slowest, fastest = slope - _DEVIATIONS * error, slope + _DEVIATIONS * error
    likely, least, most = (seconds * math.expm1(min(gap / rise, 50.0)) for rise in (slope, fastest, slowest))
    return Forecast(likely, least, most) if most <= _FARTHEST * seconds else None


def _line(xs: np.ndarray, ys: np.ndarray) -> tuple[float, float, float]:
    """Slope of the least squares, its standard error, and the deviation of single points."""
    centred = xs - xs.mean()
    spread = float((centred**2).sum()) or math.inf
    slope = float((centred * ys).sum()) / spread
    scatter = math.sqrt(float(((ys - ys.mean() - slope * centred) ** 2).sum()) / (len(xs) - 2))
    return slope, scatter / math.sqrt(spread), scatter
