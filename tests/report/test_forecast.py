"""What a run's own curve tells of a longer run, and where it tells nothing."""

import numpy as np
import pytest

from afterbert.report.forecast import forecast
from afterbert.report.metrics import Evaluation, MetricsTable
from afterbert.report.summary import Headline, Share


def run_of(curve, *, noise=0.0, steps=1000, count=20):
    drawn = np.random.default_rng(3).normal(size=count) * noise
    places = np.linspace(steps / count, steps, count)
    told = tuple(Evaluation(float(s), {"acc": float(curve(s) + d)}) for s, d in zip(places, drawn))
    return MetricsTable(columns={"step": places, "seconds": places * 0.6}, evaluations=told)


def rising(step):
    return 0.05 * np.log(step)


def test_the_time_is_that_of_the_line_and_its_span_holds_it():
    exact = forecast(run_of(rising), "acc", 0.05 * np.log(2))
    assert exact is not None and exact.likely == pytest.approx(600)
    assert exact.least == pytest.approx(600) == pytest.approx(exact.most)
    assert str(exact).startswith("about 10 min more (10 min to 10 min) would draw level")
    rough = forecast(run_of(rising, noise=0.003), "acc", 0.05 * np.log(2))
    assert rough is not None and rough.least < 600 < rough.most and rough.most > 1.1 * rough.least


@pytest.mark.parametrize(
    "metrics, gap",
    [
        (run_of(rising, count=8), 0.03),  # two of the eight lie before the last three quarters
        (run_of(lambda step: 0.3 + 0 * step, noise=0.01), 0.03),  # level
        (run_of(rising), 0.05 * np.log(11)),  # eleven times as long
        (run_of(lambda step: 0.4 * (1 - np.exp(-step / 200))), 0.02),  # it bends
        (run_of(rising, noise=0.05), 0.03),  # it may be no slope at all
        (MetricsTable(), 0.1),
    ],
)
def test_a_curve_that_does_not_carry_says_nothing(metrics, gap):
    assert forecast(metrics, "acc", gap) is None


def test_the_verdict_tells_it():
    more = forecast(run_of(rising), "acc", 0.05 * np.log(2))
    below = Headline(Share("", 0.3), (Share("counting", 0.35),), (), "", None, more=more)
    assert "not yet worth its training: about 10 min more" in below.verdict
