"""Every seed of every arm as a dot, with the arm's mean: plain geometry that `chart.html.jinja` draws."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from afterbert.report.chart import Dot, Mark, Scale, series_key

_WIDTH, _ROW, _TOP, _BOTTOM, _SIDE = 440, 40, 8, 34, 16


@dataclass(frozen=True)
class DotRow:
    """An arm: its name above its line, its dots, and the pixel of their mean."""

    name: str
    y: float
    mean: float
    dots: tuple[Dot, ...]
    number: int


@dataclass(frozen=True)
class DotChart:
    """A finished drawing, `width` x `height` pixels."""

    title: str
    width: int
    height: int
    left: int
    right: int
    bottom: int
    x_ticks: tuple[Mark, ...]
    rows: tuple[DotRow, ...]
    summary: str


def draw_dots(title: str, values: Mapping[str, Sequence[float]], *, write: Callable[[float], str]) -> DotChart:
    """Returns the chart of several arms: name -> one value for each seed."""
    every = np.array([value for one in values.values() for value in one])
    room = 0.08 * float(np.ptp(every)) or 0.05 * abs(float(every[0])) or 0.5
    height = _TOP + _ROW * len(values) + _BOTTOM
    x = Scale(float(every.min()) - room, float(every.max()) + room, _SIDE, _WIDTH - _SIDE)
    rows = []
    for number, ((colour, name), own) in enumerate(zip(series_key(values), values.values())):
        y = _TOP + _ROW * number + 28
        dots = tuple(
            Dot(round(float(x(np.array(value))), 1), y, f"seed {seed}: {write(value)}")
            for seed, value in enumerate(own)
        )
        mean = float(np.mean(own))
        rows.append(DotRow(f"{name}  {write(mean)}", y, round(float(x(np.array(mean))), 1), dots, colour))
    means = ", ".join(f"{name} {write(float(np.mean(own)))}" for name, own in values.items())
    return DotChart(
        title, _WIDTH, height, _SIDE, _WIDTH - _SIDE, height - _BOTTOM, x.marks(5, write), tuple(rows),
        f"{title}: {means}",
    )  # fmt: skip
