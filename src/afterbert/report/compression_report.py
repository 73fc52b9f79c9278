"""A model made smaller: the table of its steps, and a picture of quality beside size and time."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from afterbert.compression.latency import Latency, Machine, median_speedup
from afterbert.compression.measuring import StepRow
from afterbert.downstream.figures.statistics import Interval
from afterbert.downstream.metrics import in_print
from afterbert.report import figures
from afterbert.report.chart import Chart, Curve, draw
from afterbert.report.grid import Grid
from afterbert.report.sectioned import Section, SectionedPage

_AS_IT_WAS = "as it was"
_PICTURED = (
    "Each dot is a step; the line joins those that no other beats in both. Quality is the share of the uncompressed "
    "model's.",
)


def write_compression_report(out: Path, rows: Sequence[StepRow], *, title: str) -> Path:
    """Writes `report.html` and `report.md` into `out`, and returns the page."""
    grids = [steps_grid(rows), *latency_grids(rows)]
    machine = Machine.here()
    threads = "one thread" if machine.threads == 1 else f"{machine.threads} threads"
    notes = [f"{row.method}: {note}" for row in rows for note in row.notes]
    if any(row.latencies for row in rows):
        said = "Latencies are medians in milliseconds, measured in turns with the model as it was, on"
        middle = "in brackets the middle half of the repetitions"
        notes.insert(0, f"{said} {machine.processor} with {threads}; {middle}.")
    sections = [Section("What quality costs", _PICTURED, charts=tuple(pareto(rows)))] if any(pareto(rows)) else []
    sections += [Section(grid.title, grid=grid) for grid in grids]
    page = SectionedPage("A model made smaller", title, tuple(notes), tuple(sections))
    return page.write(out / "report.html", overwrite=True)


def steps_grid(rows: Sequence[StepRow]) -> Grid:
    """Returns one row for each step: sizes, cost and quality."""
    has_quality = any(row.quality for row in rows)
    metric = next((row.quality.metric for row in rows if row.quality), "")
    head = ["step", "parameters", "on disk", "FLOPs a token", "speed"]
    head += [figures.words(metric), "change", "kept", "control"] if has_quality else []
    found = []
    for row in rows:
        sparse = f" (sparse {figures.size(row.sparse_bytes)})" if row.sparse_bytes else ""
        cells = [
            row.method or _AS_IT_WAS,
            figures.large(row.parameters),
            figures.size(row.bytes) + sparse,
            figures.large(row.flops),
            f"{median_speedup(row.latencies):.2f}x" if row.method and row.latencies else "–",
        ]
        cells += _quality_cells(row) if has_quality else []
        found.append(tuple(cells))
    return Grid("Steps", tuple(head), tuple(found))


def latency_grids(rows: Sequence[StepRow]) -> list[Grid]:
    """Returns tables with steps in rows and shapes of batches in columns; none when nothing was timed."""
    if not any(row.latencies for row in rows):
        return []
    shapes = [(one.batch_size, one.length) for one in rows[0].latencies]
    head = ("step", *(f"{batch_size} x {length}" for batch_size, length in shapes))
    found = []
    for row in rows:
        by_shape = {(one.batch_size, one.length): one for one in row.latencies}
        cells = [_latency_cell(by_shape.get(shape), bool(row.method)) for shape in shapes]
        found.append((row.method or _AS_IT_WAS, *cells))
    return [Grid("Milliseconds a batch (rows x pieces)", head, tuple(found))]


def row_lines(row: StepRow) -> list[str]:
    """Returns the figures of one step in words."""
    lines = [f"{figures.large(row.parameters)} parameters", figures.size(row.bytes)]
    if row.sparse_bytes:
        lines.append(f"{figures.size(row.sparse_bytes)} if sparse")
    lines.append(f"{figures.large(row.flops)}FLOP a token")
    if row.method and row.latencies:
        lines.append(f"{median_speedup(row.latencies):.2f}x as fast")
    if row.quality is not None:
        name, kept = row.quality.metric, row.quality.kept
        lines.append(f"{figures.words(name)} {_sure(name, row.quality.score)}, {kept:.1%} kept")
    if row.control is not None:
        lines.append(f"control {in_print(row.control.metric, row.control.score.estimate)}")
    lines += row.notes
    return lines


def pareto(rows: Sequence[StepRow]) -> list[Chart | None]:
    """Returns charts of quality beside bytes on disk and beside time: steps as dots, with a line through the best."""
    judged = [row for row in rows if row.quality is not None]
    if not judged:
        return []
    charts = [_picture("Quality and size", judged, "megabytes on disk", lambda row: row.bytes / 1e6)]
    if all(row.latencies for row in judged):
        batch = judged[0].latencies[-1]
        said = f"milliseconds for {batch.batch_size} x {batch.length} pieces"
        charts.append(_picture("Quality and time", judged, said, lambda row: row.latencies[-1].median))
    return charts


def frontier(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Returns the numbers of the points that no other beats in both, by rising cost.

    >>> frontier([3.0, 1.0, 2.0, 4.0], [0.9, 0.5, 0.4, 0.8])
    [1, 0]
    """
    best, found = -np.inf, []
    for number in sorted(range(len(costs)), key=lambda i: (costs[i], -scores[i])):
        if scores[number] > best:
            found.append(number)
            best = scores[number]
    return found


def _picture(title: str, rows: Sequence[StepRow], x_title: str, cost: Callable[[StepRow], float]) -> Chart | None:
    costs = [cost(row) for row in rows]
    scores = [100 * row.quality.kept for row in rows if row.quality is not None]
    names = [row.method or _AS_IT_WAS for row in rows]
    best = frontier(costs, scores)
    beaten = [number for number in range(len(rows)) if number not in best]
    curves = [
        Curve("beaten", np.array([costs[n]]), np.array([scores[n]]), "held-out", has_dots=True, labels=(names[n],))
        for n in beaten
    ]
    line = Curve(
        "none is better in both",
        np.array(costs)[best],
        np.array(scores)[best],
        has_dots=True,
        labels=tuple(names[number] for number in best),
    )
    drawn = draw(title, [*curves, line], x_title=x_title, write=lambda value: f"{value:.1f}%", write_x=figures.number)
    if drawn is None:
        return None
    told = ", ".join(f"{names[n]} {scores[n]:.1f}% at {figures.number(costs[n])}" for n in best)
    return replace(drawn, summary=f"{title}: {told}")


def _quality_cells(row: StepRow) -> list[str]:
    quality = row.quality
    if quality is None:
        return ["–"] * 4
    change = _sure(quality.metric, quality.change) if row.method else "–"
    control = "–" if row.control is None else in_print(row.control.metric, row.control.score.estimate)
    return [_sure(quality.metric, quality.score), change, f"{quality.kept:.1%}", control]


def _sure(name: str, one: Interval) -> str:
    """A figure of this metric with its interval."""
    return f"{in_print(name, one.estimate)} ({in_print(name, one.low)} to {in_print(name, one.high)})"


def _latency_cell(one: Latency | None, is_smaller: bool) -> str:
    if one is None:
        return "–"
    times = f"{_ms(one.median)} ({_ms(one.low)} to {_ms(one.high)})"
    return f"{times}, {one.speedup:.2f}x" if is_smaller else times


def _ms(value: float) -> str:
    """
    >>> _ms(0.1234), _ms(12.34), _ms(1234.5)
    ('0.123', '12.3', '1,234')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
