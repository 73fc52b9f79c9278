"""Two or more runs side by side, of whatever objectives: what differs, figures with intervals, curves, cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from afterbert.base.config import differences, to_plain
from afterbert.base.errors import UserError
from afterbert.base.plugins import find, names
from afterbert.base.tree import in_yaml
from afterbert.recipes.recipe import resolve
from afterbert.report import figures, summary
from afterbert.report.chart import SERIES, Chart, Curve, draw, series_key
from afterbert.report.grid import Grid
from afterbert.report.run_record import RunRecord, read_run
from afterbert.report.sectioned import Section, SectionedPage
from afterbert.report.study_pages import signed_share
from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure
from afterbert.study.statistics import difference

_SMALLEST = 0.01  # a point; comparisons of runs judge nothing by it


def comparison_of(folders: Sequence[Path]) -> SectionedPage:
    """Returns the page of a comparison. Raises UserError if a folder is no run, or fewer than two are named."""
    if len(folders) < 2:
        raise UserError("a comparison needs two runs or more; name their folders: afterbert compare RUN RUN")
    records = dict(zip(_names(folders), map(read_run, folders)))
    needed = ("evaluation.json", "data.json")
    runs = {n: FinishedRun(r.folder) for n, r in records.items() if all((r.folder / file).is_file() for file in needed)}
    texts = {_text_of(FinishedRun(one.folder)) for one in records.values() if (one.folder / "data.json").is_file()}
    beware = "The runs were not made on the same text or tokenizer, so their figures answer different questions."
    first = next(iter(records))
    found = _figures(runs)
    return SectionedPage(
        kicker=f"{len(records)} runs compared",
        title=" against ".join(str(record.setting("title") or name) for name, record in records.items()),
        lead=(_said(runs, found),),
        notice=beware if len(texts) > 1 else "",
        sections=(
            _differing(records, first),
            Section("Figures", _FIGURES, _figure_grid(list(records), found)),
            Section("Curves", charts=_curves(records), key=series_key(records)),
            _costs(records),
        ),
    )


_FIGURES = (
    "The first figure asks the same of all kinds of models; the others are asked of those that can answer. In "
    "brackets: the difference to the first run, with its 95% interval over held-out rows where both were asked the "
    "same ones. It tells what other rows of this text would give, and nothing of other seeds: for that, run a study.",
)


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names, with a number where two are alike."""
    short = [folder.resolve().name for folder in folders]
    return [name if short.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(short, start=1)]


def _figures(runs: Mapping[str, FinishedRun]) -> dict[str, dict[str, Measurement]]:
    """Measure -> run -> its measurement, the shared one first."""
    order = sorted(names(Measure), key=lambda name: (name != "missing_word", find(Measure, name).is_cost, name))
    found = {}
    for name in order:
        asked = {run: one for run, folder in runs.items() if (one := find(Measure, name)()(folder)) is not None}
        if asked:  # rows of another text are others, however many they are
            found[name] = {
                run: replace(one, keys=(_text_of(runs[run]),)) for run, one in asked.items() if math.isfinite(one.value)
            }
    return found


def _text_of(run: FinishedRun) -> str:
    """What tells the text of a run and its pieces from those of others, wherever it lay and however it was mixed."""
    data = run.data
    sources = sorted(f"{one.get('bytes')} {one.get('documents')}" for one in data.get("sources", ()))
    held_out = data.get("splits", {}).get("held_out") or {}
    return repr((sources, data.get("tokenizer", {}).get("digest"), held_out.get("pieces")))


def _figure_grid(columns: Sequence[str], found: Mapping[str, Mapping[str, Measurement]]) -> Grid:
    rows = []
    for name, asked in found.items():
        kind = find(Measure, name)
        cells = [_cell(kind, run, columns[0], asked) for run in columns]
        rows.append((kind.title + (" *" if kind.favours else ""), *cells))
    return Grid("", ("figure (* favours some objectives by construction)", *columns), tuple(rows))


def _cell(kind: type[Measure], run: str, first: str, asked: Mapping[str, Measurement]) -> str:
    if run not in asked:
        return "–"
    one = asked[run]
    told = figures.measured(one.value, kind.unit)
    if kind.unit != "share" or run == first or first not in asked:
        return told
    gap = difference([one], [asked[first]], smallest=_SMALLEST)
    if not math.isfinite(gap.low):
        return f"{told} ({signed_share(gap.estimate)})"
    return f"{told} ({signed_share(gap.estimate)}, {signed_share(gap.low)} to {signed_share(gap.high)})"


def _said(runs: Mapping[str, FinishedRun], found: Mapping[str, Mapping[str, Measurement]]) -> str:
    """The closing figure that all share, in a sentence."""
    shared = found.get("missing_word", {})
    if len(shared) < 2:
        return "Fewer than two of the runs have the figure that all share, so there is nothing to say yet."
    order = sorted(shared, key=lambda run: -shared[run].value)
    told = ", ".join(f"{run} {figures.percent(shared[run].value)}" for run in order)
    best, second = order[:2]
    gap = difference([shared[best]], [shared[second]], smallest=_SMALLEST)
    sure = f"{best} and {second} cannot be told apart on these rows"
    if not math.isfinite(gap.low):
        sure = "They were not asked about the same rows, so how sure that is cannot be said"
    elif gap.low > 0:
        sure = f"{best} is ahead of {second} on any rows of this text"
    return f"Of frequent words taken out of held-out text, a probe on frozen states names: {told}. {sure}."


def _differing(records: Mapping[str, RunRecord], first: str) -> Section:
    """The settings in which not all recipes agree."""
    plain = {
        name: to_plain(resolve(str(one.folder / "recipe.yaml")).recipe)
        for name, one in records.items()
        if (one.folder / "recipe.yaml").is_file()
    }
    if first not in plain:
        return Section("What differs", ("The first run has no recipe.yaml.",))
    found = {name: differences(plain[first], one) for name, one in plain.items()}
    paths = list(dict.fromkeys(path for changed in found.values() for path in changed))
    rows = []
    for path in paths:
        before = next(changed[path][0] for changed in found.values() if path in changed)
        cells = [in_yaml(changed[path][1] if path in changed else before) for changed in found.values()]
        rows.append((path, *cells))
    words = ("Every setting of the resolved recipes in which they do not all agree.",)
    return Section("What differs", words, Grid("", ("setting", *found), tuple(rows)))


def _curves(records: Mapping[str, RunRecord]) -> tuple[Chart | None, ...]:
    """Masked accuracy of those that are asked it; the loss of those that share its meaning, else of each by itself."""
    styles = {name: SERIES[number % len(SERIES)] for number, name in enumerate(records)}
    accuracies = _held_out(records, summary.HEADLINE, styles)
    charts = [draw("held-out masked accuracy", accuracies, write=figures.percent, x_title="step")]
    kinds: dict[tuple[str, str], dict[str, RunRecord]] = {}
    for name, one in records.items():
        kinds.setdefault((one.named.loss.title, one.named.loss.unit), {})[name] = one
    for (title, unit), group in kinds.items():
        charts.append(draw(f"held out: {title} ({unit})", _held_out(group, "loss", styles), x_title="step"))
    return tuple(charts)


def _held_out(records: Mapping[str, RunRecord], key: str, styles: Mapping[str, str]) -> list[Curve]:
    curves = []
    for name, one in records.items():
        points = [(e.step, e.measures[key]) for e in one.metrics.evaluations if key in e.measures]
        if points:
            xs, ys = np.array(points).T
            curves.append(Curve(name, xs, ys, style=styles[name]))
    return curves


def _costs(records: Mapping[str, RunRecord]) -> Section:
    rows = [
        (
            name,
            one.status.state or "unknown",
            figures.count(one.metrics.last("step")),
            figures.large(one.metrics.last("tokens")),
            figures.duration(one.metrics.last("seconds")),
            figures.large(summary.parameters(one.folder / "model" / "model.safetensors")),
        )
        for name, one in records.items()
    ]
    head = ("run", "state", "steps", "tokens", "time", "parameters saved")
    return Section("Cost", grid=Grid("", head, tuple(rows)))
