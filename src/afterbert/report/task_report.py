"""Fine-tunings side by side: ways to train in rows, tasks in columns, mean and spread over seeds, beside what guessing
scores; and how the tasks were mixed. As JSON, Markdown and HTML."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from afterbert.base.runs import write_atomically
from afterbert.base.small_files import read_json
from afterbert.downstream.metrics import in_print, is_share
from afterbert.report import figures
from afterbert.report.grid import Grid
from afterbert.report.sectioned import Section, SectionedPage
from afterbert.report.task_details import detail_grids, remarks, splits_of

_GUESSING = "guessing"


def write_task_report(out: Path, arms: Mapping[str, Path], *, title: str) -> Path:
    """Writes `comparison.json`, `report.md` and `report.html` into `out`, from the results.json of each arm, and
    returns the page."""
    read = {name: read_json(path) for name, path in arms.items()}
    grids = [results_grid(read), *transfer_grids(read), *answers_grids(read), *mix_grids(read)]
    write_atomically(out / "comparison.json", json.dumps(compared(read), indent=1, ensure_ascii=False) + "\n")
    notes = steps_notes(read)
    if len(read) == 1:
        ((name, only),) = read.items()
        grids += detail_grids(only, arms[name].parent)
        notes += remarks(only)
    sections = tuple(Section(grid.title, grid=grid) for grid in grids)
    page = SectionedPage("Fine-tuning on labelled tasks", title, tuple(notes), sections)
    return page.write(out / "report.html", overwrite=True)


def compared(arms: Mapping[str, Any]) -> dict[str, Any]:
    """Returns arm -> steps, mix, and `task/split` -> main metric with mean, deviation, values and guessing."""
    found: dict[str, Any] = {}
    for name, arm in arms.items():
        cells = {}
        for task, split, result in splits_of(arm):
            metric, spread = next(iter(result["metrics"].items()))
            guess = result["baseline_metrics"][metric]
            written = {"no_answers": result["no_answers"], "rows": result["rows"]}
            cells[f"{task}/{split}"] = {"metric": metric, **spread, _GUESSING: guess, **written}
        found[name] = {"steps": arm.get("steps"), "mix": arm.get("mix"), "tasks": cells}
    return found


def results_grid(arms: Mapping[str, Any]) -> Grid:
    """Returns a table of arms by labelled splits of tasks, with the mean over tasks: of test splits where every task
    has one, else of dev; none where one of them is an error. Figures are in percent, errors as they are."""
    table = {name: found["tasks"] for name, found in compared(arms).items()}
    columns = list(dict.fromkeys(key for cells in table.values() for key in cells))
    metric = {key: cells[key]["metric"] for cells in table.values() for key in cells}
    counted = _counted(columns)
    counted = counted if all(is_share(metric[key]) for key in counted) else []
    rows = []
    for name, cells in table.items():
        means = [cells[key]["mean"] for key in counted if key in cells]
        mean = f"{100 * sum(means) / len(means):.1f}" if len(means) == len(counted) > 1 else "–"
        rows.append((name, *(_cell(cells.get(key)) for key in columns), mean))
    guesses = {key: cells[key][_GUESSING] for cells in table.values() for key in cells}
    rows.append((_GUESSING, *(in_print(metric[key], guesses[key]) for key in columns), "–"))
    head = ("trained", *(f"{key} ({figures.words(metric[key])})" for key in columns), "mean")
    told = f"Results in percent; mean over {', '.join(counted)}" if len(counted) > 1 else "Results in percent"
    return Grid(told, head, tuple(rows))


def transfer_grids(arms: Mapping[str, Any]) -> list[Grid]:
    """Returns a table of languages by tasks, where the files of a task name two or more languages. Cells have the main
    metric with its interval, and what guessing scores; their colour shows how much of the way from guessing to all
    right it is. Each language is scored on its test rows, or on what it has besides training rows."""
    cells: dict[str, dict[str, Any]] = {}
    trained = []
    for arm, found in arms.items():
        for task, result in found["tasks"].items():
            languages = result.get("languages", {})
            column = task if len(arms) == 1 else f"{arm}: {task}"
            trained += [f"{column} on {languages['dev']}"] if "dev" in languages else []
            tested = Counter(language for split, language in languages.items() if split != "dev")
            for split, language in languages.items():
                if split != "dev" or not tested[language]:
                    row = language if tested[language] < 2 else f"{language}, {split}"
                    cells.setdefault(row, {})[column] = result["splits"][split]
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    rows, heat = [], []
    for language in sorted(cells):
        told = [_transferred(cells[language].get(column)) for column in columns]
        rows.append((language, *(text for text, _ in told)))
        heat.append((None, *(share for _, share in told)))
    title = f"Languages by tasks: score (95% interval), guessing; trained: {', '.join(trained) or 'language not told'}"
    return [Grid(title, ("language", *columns), tuple(rows), tuple(heat))] if rows else []


def _transferred(found: Mapping[str, Any] | None) -> tuple[str, float | None]:
    """A cell, and the share of the way from guessing to all right."""
    if found is None:
        return "–", None
    metric, spread = next(iter(found["metrics"].items()))
    guess, interval = found["baseline_metrics"][metric], found["interval"]
    score, low, high, less = (
        in_print(metric, value) for value in (spread["mean"], interval["low"], interval["high"], guess)
    )
    is_above = found["gain"]["low"] > 0
    share = min(1.0, max(0.0, (spread["mean"] - guess) / max(1 - guess, 1e-9)))
    return f"{score} ({low} to {high}), {less}{'' if is_above else ', not clearly above'}", share


def answers_grids(arms: Mapping[str, Any]) -> list[Grid]:
    """Returns tables of how many written answers were none of the task's, as a mean over seeds; empty if no answers
    were written."""
    found = {
        (name, f"{task}/{split}"): f"{sum(counts) / len(counts):g} of {result['rows']:,}"
        for name, arm in arms.items()
        for task, split, result in splits_of(arm)
        if (counts := result["no_answers"])
    }
    columns = list(dict.fromkeys(key for _, key in found))
    rows = tuple(
        (name, *(found.get((name, key), "–") for key in columns)) for name in dict.fromkeys(n for n, _ in found)
    )
    return [Grid("Written answers that are no answer (counted as wrong)", ("trained", *columns), rows)] if rows else []


def mix_grids(arms: Mapping[str, Any]) -> list[Grid]:
    """Returns tables for each arm that mixed sources: their shares and epochs as planned and in the first seed."""
    rows = []
    for name, arm in arms.items():
        mix = arm.get("mix") or {}
        stages = mix if "realised" not in mix else {"": mix}
        for stage, told in stages.items():
            realised = next(iter(told["realised"].values()), None)
            shown = (told["planned"] or realised or {"sources": {}})["sources"]
            for source, before in shown.items():
                after = realised["sources"][source] if realised else None
                cells = [f"{100 * one['share']:.1f}%, {one['epochs']:.2f}" if one else "–" for one in (before, after)]
                rows.append((" ".join((name, stage)).strip(), source, f"{before['rows']:,}", *cells))
    head = ("trained", "source", "rows", "planned: share, epochs", "realised: share, epochs")
    return [Grid("The mix of sources", head, tuple(rows))] if rows else []


def steps_notes(arms: Mapping[str, Any]) -> list[str]:
    """Returns one line on the model, the seeds and the steps of the stages."""
    first = next(iter(arms.values()))
    settings = first["settings"]
    lines = [f"From {first['model']}; seeds: {settings['num_seeds']}, from {settings['seed']} on."]
    told = {name: arm["steps"] for name, arm in arms.items() if arm.get("steps")}
    if told:
        stages = (f"{name} {steps['first']:,} + {steps['second']:,}" for name, steps in told.items())
        lines.append(
            f"Steps of the first stage, which its tasks share, and of each task's own: {'; '.join(stages)}. Every "
            "model that answers has had the same number; alone, there is one for each task."
        )
    return lines


def _counted(columns: Sequence[str]) -> list[str]:
    """The columns whose mean is told: one for each task."""
    tasks = list(dict.fromkeys(key.rpartition("/")[0] for key in columns))
    for split in ("test", "dev"):
        wanted = [f"{task}/{split}" for task in tasks]
        if set(wanted) <= set(columns):
            return wanted
    return []


def _cell(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "–"
    spread = "" if cell["deviation"] is None else f" ± {in_print(cell['metric'], cell['deviation'])}"
    return in_print(cell["metric"], cell["mean"]) + spread
