"""The mix of a run: how many rows come from each source, before it as planned and after it as it was."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afterbert.base.budget import Budget
from afterbert.downstream.finetuning.batches import TaskPlan
from afterbert.downstream.finetuning.bench import Bench


@dataclass(frozen=True)
class TaskMix:
    """steps: of the run. sizes: source -> its rows; drawn: source -> rows that these steps hold."""

    steps: int
    sizes: Mapping[str, int]
    drawn: Mapping[str, int]

    @staticmethod
    def of(bench: Bench, *, seed: int, steps: int) -> TaskMix:
        """Counts the training rows that the first `steps` of a run hold. A pure function, as the batches are: it tells
        what a run will draw, and what it has drawn."""
        units, epochs = bench.asked.batches.units, bench.feed(seed).epochs
        drawn = Counter(dict.fromkeys(units, 0))
        for part in epochs.parts(range(steps * bench.settings.batch_size)):
            plan = epochs.plan(part.epoch)
            assert isinstance(plan, TaskPlan)
            drawn[plan.units(part.numbers)[0]] += len(part.numbers)
        return TaskMix(steps, {name: len(rows) for name, rows in units.items()}, dict(drawn))

    def plain(self) -> dict[str, Any]:
        """Returns the mix for results.json: source -> rows, rows drawn, share of all that are drawn, epochs.

        >>> TaskMix(2, {"a": 100, "b": 50}, {"a": 300, "b": 100}).plain()["sources"]["b"]
        {'rows': 50, 'drawn': 100, 'share': 0.25, 'epochs': 2.0}
        """
        total = sum(self.drawn.values())
        sources = {
            name: {
                "rows": size,
                "drawn": self.drawn[name],
                "share": self.drawn[name] / total,
                "epochs": self.drawn[name] / size,
            }
            for name, size in self.sizes.items()
        }
        return {"steps": self.steps, "sources": sources}


def planned_steps(bench: Bench, budget: Budget | None = None) -> int | None:
    """Returns the steps of a run, where they are known before it. An epoch is as many batches as all sources have
    together. budget: None takes that of the settings."""
    budget = budget or bench.settings.budget
    if budget.unit == "steps":
        return max(1, int(budget.amount))
    if budget.unit == "epochs":
        return max(1, math.ceil(budget.amount * sum(bench.asked.batches.sizes.values()) - 1e-9))
    return None
