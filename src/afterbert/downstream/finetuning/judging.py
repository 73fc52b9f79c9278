"""How well tasks are answered: figures while a model is trained, of one run, and of all seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from afterbert.downstream.figures.results import Predictions, TaskResult, summarize
from afterbert.downstream.finetuning.objective import TaskObjective
from afterbert.downstream.finetuning.task_card import SplitFigures
from afterbert.downstream.reading.data import TaskData
from afterbert.objectives.modules import ObjectiveModule


def dev_figures(asked: TaskObjective, module: ObjectiveModule) -> dict[str, float]:
    """Returns the figures `task/metric` of the module's answers on the dev splits."""
    return flat(
        {
            data.name: data.scores("dev", asked.predict(module, data.name, "dev"))
            for data in asked.tasks
            if data.is_judged
        }
    )


def flat(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Returns figures by `task/metric`.

    >>> flat({"food": {"accuracy": 0.5}})
    {'food/accuracy': 0.5}
    """
    return {f"{name}/{metric}": value for name, one in scores.items() for metric, value in one.items()}


def main_figure(tasks: Sequence[TaskData], figures: Mapping[str, float]) -> float:
    """Returns the mean of the tasks' main metrics among figures by `task/metric`; higher is better."""
    mains = [(data.name, data.task.metrics[0]) for data in tasks]
    signed = [
        figures[f"{name}/{metric.name}"] * (1 if metric.higher_is_better else -1)
        for name, metric in mains
        if f"{name}/{metric.name}" in figures
    ]
    return float(np.mean(signed))


def task_results(
    asked: TaskObjective, runs: Mapping[str, Sequence[Mapping[str, Sequence[Any]]]]
) -> tuple[TaskResult, ...]:
    """Returns the figures of each task from its predictions, task -> [seeds][split][rows]."""
    return tuple(summarize(data, runs[data.name], is_written=asked.heads[data.name].writes) for data in asked.tasks)


def split_figures(tasks: Sequence[TaskData], found: Predictions) -> dict[str, dict[str, SplitFigures]]:
    """Returns task -> labelled split -> its figures, from the predictions of one run."""
    figures: dict[str, dict[str, SplitFigures]] = {}
    for data in tasks:
        for split, predictions in found[data.name].items():
            rows = [row for row in data.readable(split) if data.task.is_usable(row)]
            if rows:
                baseline = data.baseline(split)
                figures.setdefault(data.name, {})[split] = SplitFigures(
                    len(rows),
                    data.scores(split, predictions),
                    baseline.name,
                    data.task.score(baseline.predictions, rows),
                )
    return figures
