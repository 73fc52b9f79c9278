"""Curves become pixels inside their frame, smoothing is a weighted mean, thinning keeps the extremes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afterbert.report.chart import Curve, draw, series_key, smoothed, thin, ticks

ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)


@settings(max_examples=settings.default.max_examples * 3 // 2)
@example([2.367100081782957e-301], False)
@example([1.0, 1.0 + 2**-52], False)
@given(st.lists(ANY, min_size=1, max_size=40), st.booleans())
def test_everything_drawn_lies_in_the_frame(ys, starts_at_zero):
    values = np.array(ys)
    curve = Curve("a", np.arange(1.0, len(ys) + 1), values, has_dots=True)
    chart = draw("t", [curve], starts_at_zero=starts_at_zero)
    if chart is None:
        assert not np.isfinite(values).any()
        return
    for trace in chart.traces:
        for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", trace.path):
            assert chart.left <= float(x) <= chart.right
            assert chart.top - 0.1 <= float(y) <= chart.bottom + 0.1
    assert len(chart.traces[0].dots) == np.isfinite(values).sum()
    assert all(chart.top - 0.1 <= tick.at <= chart.bottom + 0.1 for tick in chart.y_ticks)
    assert len({tick.at for tick in chart.y_ticks}) >= 2


def test_an_outlier_does_not_flatten_the_rest():
    ys = np.full(200, 3.0)
    ys[100] = 1e6
    chart = draw("loss", [Curve("a", np.arange(200.0), ys)])
    assert chart is not None
    assert "drawn at the edge" in chart.note
    assert float(chart.y_ticks[-1].label.replace(",", "")) < 10


def test_level_names_do_not_collide():
    chart = draw("a", [Curve("a", np.arange(3.0), np.arange(3.0))], levels=[("x", 1.0), ("y", 1.001), ("z", 1.002)])
    assert chart is not None
    heights = [level.label_at for level in chart.levels]
    assert np.diff(heights).max() <= -14


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 8))
def test_ticks_are_few_and_inside(low, width, most):
    found = ticks(low, low + width, most)
    assert len(found) <= most + 1
    assert all(low <= tick <= low + width for tick in found)


def test_smoothing_is_a_gaussian_mean_that_ignores_nan():
    rng = np.random.default_rng(3)
    ys = rng.normal(size=200)
    ys[[5, 6, 77]] = np.nan
    xs, found = smoothed(np.arange(200.0), ys, most=200)
    spread = 2.0
    weights = np.exp(-0.5 * ((xs[:, None] - xs[None, :]) / spread) ** 2)
    weights[np.abs(xs[:, None] - xs[None, :]) > 3 * spread] = 0
    weights *= np.isfinite(ys)
    np.testing.assert_allclose(found, weights @ np.nan_to_num(ys) / weights.sum(1), rtol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 479, 480, 481, 10_000])
def test_thinning_keeps_lowest_and_highest(count):
    ys = np.random.default_rng(0).normal(size=count)
    xs, kept = thin(np.arange(count), ys)
    assert len(xs) <= 480
    assert (kept.min(), kept.max()) == (ys.min(), ys.max())
    np.testing.assert_array_equal(kept, ys[xs])


def test_a_chart_is_told_in_words_by_what_its_points_are_called():
    ys = np.array([0.5, np.nan, 2.0])
    charts = [
        draw("a", [Curve("a", np.array([0.0, 1.0, 2.0]), ys, labels=labels)], x_title=x_title)
        for x_title, labels in (
            ("optimizer step", ()),
            ("tokens read", ()),
            ("layer", ("layer 0", "layer 1", "layer 2")),
        )
    ]
    said = [chart.summary for chart in charts if chart is not None]
    assert said == ["a: 0.5 at step 0, 2 at step 2", "a: 0.5 at tokens read 0, 2 at tokens read 2",
                    "a: 0.5 at layer 0, 2 at layer 2"]  # fmt: skip


def test_colours_come_again_after_the_last():
    assert [number for number, _ in series_key("abcdefghij")] == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2]
