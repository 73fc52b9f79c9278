"""The mix of a run: how many rows come from each source, before it as planned and after it as it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afterbert.base.budget import Budget
from afterbert.downstream.finetuning.feed import TaskFeed


@dataclass(frozen=True)
class TaskMix:
    """steps: of the run. sizes: source -> its rows; drawn: source -> rows that these steps hold."""

    steps: int
    sizes: Mapping[str, int]
    drawn: Mapping[str, int]

    @staticmethod
    def of(feed: TaskFeed, *, seed: int, steps: int) -> TaskMix:
        """Counts the rows of the first `steps` of a run. A pure function, as the batches are."""
        return TaskMix(
            steps, {name: len(units) for name, units in feed.units.items()}, feed.drawn(seed, steps)
        )

    def plain(self) -> dict[str, Any]:
        """For results.json: source -> rows, rows drawn, share of all that are drawn, epochs.

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


def planned_steps(budget: Budget, feed: TaskFeed) -> int | None:
    """Steps of a run, where they are known before it; an epoch of a feed is as many batches as all sources
    have together."""
    if budget.unit == "steps":
        return max(1, int(budget.amount))
    if budget.unit == "epochs":
        return max(1, math.ceil(budget.amount * sum(feed.sizes.values()) - 1e-9))
    return None
