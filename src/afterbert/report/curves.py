"""The curves of a run, as charts."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from afterbert.objectives.parts.meaning import SHARE
from afterbert.report import figures
from afterbert.report.chart import Chart, Curve, draw, smoothed, thin
from afterbert.report.metrics import MetricsTable
from afterbert.report.run_record import RunRecord
from afterbert.report.summary import HEADLINE, baseline_name

_TWO_QUESTIONS = (
    "The full dot is the closing evaluation, which asks one fixed question of every run, as the baselines do; "
    "the line is the recipe's own question."
)


@dataclass(frozen=True)
class Curves:
    """Large charts (loss, accuracy), small ones (learning rate, gradient, speed, parts).

    alarm: what went wrong, if anything did; remarks: what the drawing leaves out.
    """

    large: tuple[Chart, ...]
    small: tuple[Chart, ...]
    alarm: str
    remarks: tuple[str, ...]

    @property
    def styles(self) -> set[str]:
        """The kinds of lines that the large charts hold."""
        return {trace.style for chart in self.large for trace in chart.traces}


def curves_of(record: RunRecord) -> Curves:
    """Returns every chart for which the metrics have values."""
    metrics = record.metrics
    large = (_loss(record), _accuracy(record))
    columns, steps = metrics.columns, metrics.columns.get("step", np.empty(0))
    shown: tuple[tuple[str, str, Callable[[float], str]], ...] = (
        ("learning_rate", "learning rate", "{:.3g}".format),
        ("grad_norm", "gradient norm before clipping", figures.number),
        ("tokens_per_second", "tokens per second", figures.large),
    )
    small = [_line(title, steps, columns[name], write) for name, title, write in shown if name in columns]
    if len(metrics.parts) > 1:
        for name, ys in metrics.parts.items():
            named = record.named.others.get(name)
            title = f"loss, part “{figures.words(name)}”" if named is None else f"{named.title} ({named.unit})"
            small.append(_line(title, steps, ys, figures.number))
    return Curves(
        large=tuple(chart for chart in large if chart),
        small=tuple(chart for chart in small if chart),
        alarm=_alarm(metrics),
        remarks=tuple(_remarks(metrics)),
    )


def _loss(record: RunRecord) -> Chart | None:
    metrics, curves = record.metrics, []
    if "loss" in metrics.columns:
        steps, loss = metrics.columns["step"], metrics.columns["loss"]
        curves += [Curve("as logged", *thin(steps, loss), style="raw")]
        if np.isfinite(loss).any():
            curves += [Curve("smoothed", *smoothed(steps, loss), style="smooth")]
    curves += _held_out(metrics, "loss")
    named = record.named.loss
    levels = [] if named.uniform is None else [("uniform guess", named.uniform)]
    return draw(
        f"{named.title} ({named.unit})",
        curves,
        write="{:.2f}".format,
        write_tick=figures.number,
        levels=levels,
        alarms=metrics.not_finite,
    )


def _accuracy(record: RunRecord) -> Chart | None:
    """Of the masked pieces; of a run that is not asked for these, the objective's own share of right answers."""
    held_out = _held_out(record.metrics, HEADLINE)
    if not held_out and HEADLINE not in record.measured.measures:
        return _own_share(record)
    levels = [(baseline_name(name), x) for name, x in record.measured.baselines.items() if x is not None]
    levels = [(name, x) for name, x in levels if math.isfinite(x)]
    title = "held-out masked accuracy" + (f", by {record.measured.asked}" if record.measured.asked else "")
    note = _TWO_QUESTIONS if record.metrics.evaluations and levels else ""
    return _shares(title, [*held_out, *_closing(record)], levels, note)


def _own_share(record: RunRecord) -> Chart | None:
    """The first measure of the objective that is a share and was evaluated, beside its own baselines."""
    for key, named in record.named.others.items():
        curves = _held_out(record.metrics, key) if named.unit == SHARE else []
        if not curves:
            continue
        levels = [] if named.uniform is None else [("a uniform guess", named.uniform)]
        beside, name = _held_out(record.metrics, named.beside), record.named.others.get(named.beside)
        if beside and name is not None:
            levels.append((name.title, float(beside[0].ys[-1])))
        return _shares(f"held out: {named.title}", curves, levels)
    return None


def _shares(title: str, curves: list[Curve], levels: list[tuple[str, float]], note: str = "") -> Chart | None:
    written: dict[str, Any] = {"write": figures.percent, "write_tick": lambda share: f"{100 * share:.3g}%"}
    return draw(title, curves, **written, levels=levels, starts_at_zero=True, note=note)


def _closing(record: RunRecord) -> list[Curve]:
    """The closing evaluation as a single point at the end."""
    value, step = record.measured.measures.get(HEADLINE), record.metrics.last("step")
    if value is None or step is None:
        return []
    return [Curve("closing evaluation", np.array([step]), np.array([value]), style="closing", has_dots=True)]


def _held_out(metrics: MetricsTable, measure: str) -> list[Curve]:
    told = [e for e in metrics.evaluations if measure in e.measures]
    steps = np.array([e.step for e in told])
    values = np.array([e.measures[measure] for e in told])
    return [Curve("held-out text", steps, values, style="held-out", has_dots=len(told) <= 60)] if told else []


def _line(title: str, steps: np.ndarray, values: np.ndarray, write: Callable[[float], str]) -> Chart | None:
    curve = Curve(title, *thin(steps, values))
    return draw(title, [curve], write=write, starts_at_zero=True, width=320, height=190)


def _alarm(metrics: MetricsTable) -> str:
    broken = metrics.not_finite
    if not len(broken):
        return ""
    return (
        f"Loss or gradient was no finite number at {figures.count(len(broken))} of the steps read, first at step "
        f"{figures.count(broken[0])}; red marks on the axis."
    )


def _remarks(metrics: MetricsTable) -> list[str]:
    remarks = []
    if metrics.every > 1:
        remarks.append(
            f"A long run: about one line in {metrics.every} of metrics.jsonl is drawn, and every evaluation."
        )
    if metrics.unreadable:
        lines = "line" if metrics.unreadable == 1 else "lines"
        remarks.append(f"{metrics.unreadable} unfinished {lines} of metrics.jsonl left out.")
    return remarks
