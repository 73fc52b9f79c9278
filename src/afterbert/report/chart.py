"""Curves as plain geometry: a `Chart` holds pixels and labels, `chart.html.jinja` draws it as SVG.

Nothing here is a picture library: the lines take their colours from the page, so they follow its light and dark scheme.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from afterbert.report import figures

#: A class of the page's style sheet: raw, smooth, held-out, closing, plain, or one of `SERIES`.
Style = str
_RIGHT, _TOP, _BOTTOM = 14, 12, 38
_LEFT, _LETTER = 52, 7.2  # pixels: room for words at the y axis, at least, and what a figure of theirs takes
_LABEL_HEIGHT = 15
#: Of several runs or arms in one chart, by their order.
SERIES: tuple[Style, ...] = tuple(f"series-{number}" for number in range(1, 9))
_LARGEST = 1e30  # differences of larger values overflow
_NOTHING = 1e-290  # smaller steps between marks vanish in their own digits


@dataclass(frozen=True)
class Curve:
    """A line through (xs [N], ys [N]), interrupted by NaN; with `has_dots` each point is marked. labels: what each
    point is called, where it is no step."""

    name: str
    xs: np.ndarray
    ys: np.ndarray
    style: Style = "plain"
    has_dots: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A label at a pixel: of a tick, a dot or a level (then `label_at` is where its words stand)."""

    at: float
    label: str
    label_at: float = 0.0


@dataclass(frozen=True)
class Dot:
    """A marked point at a pixel."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Trace:
    """A curve as an SVG path."""

    path: str
    style: Style
    dots: tuple[Dot, ...] = ()


@dataclass(frozen=True)
class Chart:
    """A finished drawing, `width` x `height` pixels; the plot lies between left, right, top and bottom.

    alarms: where on the x axis a value was not a finite number. note: what the drawing leaves out.
    """

    title: str
    width: int
    height: int
    left: int
    x_title: str
    x_ticks: tuple[Mark, ...]
    y_ticks: tuple[Mark, ...]
    traces: tuple[Trace, ...]
    levels: tuple[Mark, ...]
    alarms: tuple[float, ...]
    summary: str
    note: str = ""

    @property
    def right(self) -> int:
        return self.width - _RIGHT

    @property
    def top(self) -> int:
        return _TOP

    @property
    def bottom(self) -> int:
        return self.height - _BOTTOM


@dataclass(frozen=True)
class Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.start + (values - self.low) / (self.high - self.low) * (self.end - self.start)

    def marks(self, most: int, write: Callable[[float], str]) -> tuple[Mark, ...]:
        return tuple(
            Mark(round(float(self(np.array(value))), 1), write(value)) for value in ticks(self.low, self.high, most)
        )


def draw(
    title: str,
    curves: Sequence[Curve],
    *,
    x_title: str = "optimizer step",
    write: Callable[[float], str] = figures.number,
    write_tick: Callable[[float], str] | None = None,
    write_x: Callable[[float], str] | None = None,
    levels: Sequence[tuple[str, float]] = (),
    alarms: np.ndarray | None = None,
    starts_at_zero: bool = False,
    note: str = "",
    width: int = 440,
    height: int = 280,
) -> Chart | None:
    """Returns the chart of some curves over steps; None if no curve has a finite value.

    levels: horizontal lines with their words. A few far outliers are drawn at the edge instead of flattening
    all the rest, and the chart's note says so.
    """
    curves = [replace(curve, ys=_bounded(curve.ys)) for curve in curves if np.isfinite(curve.ys).any()]
    if not curves:
        return None
    xs = np.concatenate([curve.xs for curve in curves])
    low = min(float(np.nanmin(curve.ys)) for curve in curves)
    high = max(_usual_top(curve.ys) for curve in curves)
    is_cut = any(np.nanmax(curve.ys) > high for curve in curves)
    low, high = _y_range(low, high, [value for _, value in levels], starts_at_zero)
    x_end = float(xs.max()) if xs.max() > 0 else 1.0
    y = Scale(low, high, height - _BOTTOM, _TOP)
    y_ticks = y.marks(5, write_tick or write)
    left = max(_LEFT, 10 + math.ceil(_LETTER * max(len(tick.label) for tick in y_ticks)))
    x = Scale(0.0, x_end, left, width - _RIGHT)
    cut = f"Values beyond {write(high)} are drawn at the edge." if is_cut else ""
    return Chart(
        title=title,
        width=width,
        height=height,
        left=left,
        x_title=x_title,
        x_ticks=x.marks(5, write_x or (figures.count if x_end < 100_000 else figures.large)),
        y_ticks=y_ticks,
        traces=tuple(_trace(curve, x, y, write, _names(curve, x_title)) for curve in curves),
        levels=_levels(levels, y, write),
        alarms=tuple(np.round(x(np.unique(alarms)), 1).tolist()) if alarms is not None and len(alarms) else (),
        summary=_summary(title, curves[-1], write, _names(curves[-1], x_title)),
        note=" ".join(part for part in (cut, note) if part),
    )


def ticks(low: float, high: float, most: int) -> list[float]:
    """Returns round values from `low` to `high`, at most about `most`.

    >>> ticks(0, 0.33, 4), ticks(3.1, 9.2, 4)
    ([0.0, 0.1, 0.2, 0.3], [4.0, 6.0, 8.0])
    >>> ticks(0, 5e-324, 5)
    [0.0]
    """
    rough = max((high - low) / most, _NOTHING)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [float(f"{i * step:.12g}") for i in range(first, last + 1)]
    return [value for value in values if low <= value <= high]


def thin(xs: np.ndarray, ys: np.ndarray, most: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Draws the same curve with at most `2 * most` points: lowest and highest of each stretch, so no spike is lost."""
    if len(xs) <= 2 * most:
        return xs, ys
    stretches = np.array_split(np.arange(len(xs)), most)
    kept = np.unique([_extreme(ys, stretch, best) for stretch in stretches for best in (np.argmin, np.argmax)])
    return xs[kept], ys[kept]


def smoothed(xs: np.ndarray, ys: np.ndarray, most: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Returns a centred Gaussian mean over about a fiftieth of the curve, at most `most` points; NaN weighs nothing."""
    ys = _bounded(ys)
    ys = np.minimum(ys, _usual_top(ys))
    stretches = np.array_split(np.arange(len(xs)), min(most, len(xs)))
    weights = np.array([np.isfinite(ys[s]).sum() for s in stretches], dtype=float)
    sums = np.array([ys[s][np.isfinite(ys[s])].sum() for s in stretches])
    centres = np.array([xs[s].mean() for s in stretches])
    spread = max(len(stretches) / 100, 0.5)
    reach = math.ceil(3 * spread)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    inside = slice(reach, reach + len(stretches))
    weight = np.convolve(weights, kernel)[inside]
    with np.errstate(invalid="ignore", divide="ignore"):
        return centres, np.convolve(sums, kernel)[inside] / weight


def _extreme(ys: np.ndarray, stretch: np.ndarray, best: Callable[[np.ndarray], np.intp]) -> int:
    values = ys[stretch]
    finite = np.flatnonzero(np.isfinite(values))
    return int(stretch[finite[best(values[finite])]] if len(finite) else stretch[0])


def _bounded(ys: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(ys), np.clip(ys, -_LARGEST, _LARGEST), np.nan)


def _usual_top(ys: np.ndarray) -> float:
    """The largest finite value, or where outliers are cut: a few far above the rest."""
    finite = ys[np.isfinite(ys)]
    top, usual = float(finite.max()), float(np.quantile(finite, 0.98))
    return 1.5 * usual if top > 3 * usual > 0 else top


def _y_range(low: float, high: float, levels: list[float], starts_at_zero: bool) -> tuple[float, float]:
    low, high = min([low, *levels]), max([high, *levels])
    size = max(abs(low), abs(high))
    if size < _NOTHING:
        return (0.0, 1.0) if starts_at_zero else (-0.5, 0.5)
    if starts_at_zero and low >= 0:
        return 0.0, high * 1.08
    # Narrower than the digits that are written, a range would have no two marks that differ.
    room = 0.06 * (high - low if high - low > 1e-9 * size else size)
    return low - room, high + room


def series_key(names: Iterable[str]) -> tuple[tuple[int, str], ...]:
    """Returns (number of a line's colour, what it is) for each; after the last colour they come again."""
    return tuple((number % len(SERIES) + 1, name) for number, name in enumerate(names))


def _names(curve: Curve, x_title: str) -> Sequence[str]:
    """What each point is called."""
    return curve.labels or [f"{x_title.removeprefix('optimizer ')} {figures.count(x)}" for x in curve.xs]


def _trace(curve: Curve, x: Scale, y: Scale, write: Callable[[float], str], names: Sequence[str]) -> Trace:
    at_x, at_y = x(curve.xs), y(np.clip(curve.ys, y.low, y.high))
    dots = tuple(
        Dot(round(float(px), 1), round(float(py), 1), f"{name}: {write(float(value))}")
        for px, py, name, value in zip(at_x, at_y, names, curve.ys)
        if curve.has_dots and math.isfinite(value)
    )
    return Trace(_path(at_x, at_y), curve.style, dots)


def _path(xs: np.ndarray, ys: np.ndarray) -> str:
    """
    >>> _path(np.array([0, 1, 2, 3.0]), np.array([5, 6, np.nan, 7.0]))
    'M0.0 5.0L1.0 6.0M3.0 7.0h0'
    """
    is_drawn = np.isfinite(xs) & np.isfinite(ys)
    begins = is_drawn & ~np.roll(is_drawn, 1)
    if len(is_drawn):
        begins[0] = is_drawn[0]
    commands = []
    for i in np.flatnonzero(is_drawn):
        is_alone = begins[i] and (i + 1 == len(is_drawn) or not is_drawn[i + 1])
        commands.append(f"{'M' if begins[i] else 'L'}{xs[i]:.1f} {ys[i]:.1f}{'h0' if is_alone else ''}")
    return "".join(commands)


def _levels(levels: Sequence[tuple[str, float]], y: Scale, write: Callable[[float], str]) -> tuple[Mark, ...]:
    """Horizontal lines from low to high, their words kept apart."""
    marks: list[Mark] = []
    for name, value in sorted(levels, key=lambda level: level[1]):
        at = round(float(y(np.array(value))), 1)
        label_at = at - 4
        if marks:
            label_at = min(label_at, marks[-1].label_at - _LABEL_HEIGHT)
        marks.append(Mark(at, f"{name} {write(value)}", label_at))
    return tuple(marks)


def _summary(title: str, curve: Curve, write: Callable[[float], str], names: Sequence[str]) -> str:
    finite = np.flatnonzero(np.isfinite(curve.ys))
    told = [f"{write(float(curve.ys[at]))} at {names[at]}" for at in (finite[0], finite[-1])]
    return f"{title}: {', '.join(told)}"
