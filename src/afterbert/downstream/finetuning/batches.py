"""Which rows form a training step: one task a step, rows of like length together, tasks mixed by a law.

Grouping is drawn anew in each epoch: lengths are blurred by noise before sorting, so that the same rows do not meet
again and again (as sortish sampling does).
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from afterbert.base.mixing import Mixing, allotted
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, starts_of
from afterbert.downstream.finetuning.unlabelled import Unlabelled
from afterbert.downstream.posing.prepared import Prepared, in_batches
from afterbert.pretext.pairings import Plan

# So little that lengths in a batch differ by hardly a piece, and enough that among equals chance decides.
_BLUR = 0.05


@dataclass(frozen=True)
class TaskPlan(Plan):
    """One epoch. Its rows are the units of all groups one after the other; a unit that comes round several times in
    an epoch is as many rows."""

    groups: tuple[tuple[str, np.ndarray], ...]
    """Task and units [B] of each update."""
    prepared: Mapping[str, Prepared | Unlabelled]

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def _starts(self) -> np.ndarray:
        return starts_of(np.array([len(units) for _, units in self.groups], dtype=np.int64))

    @cached_property
    def _batches(self) -> list[np.ndarray]:
        return [np.arange(start, stop) for start, stop in itertools.pairwise(self._starts.tolist())]

    def batches(self) -> Sequence[np.ndarray]:
        return self._batches

    def units(self, numbers: np.ndarray) -> tuple[str, np.ndarray]:
        """Returns the task and the units [B] of rows [B] that belong to one group."""
        group = int(np.searchsorted(self._starts, numbers[0], side="right")) - 1
        assert self._starts[group] <= numbers.min() and numbers.max() < self._starts[group + 1], "one group"
        name, units = self.groups[group]
        return name, units[numbers - self._starts[group]]

    def rows(self, numbers: np.ndarray) -> Rows:
        name, units = self.units(numbers)
        source = self.prepared[name]
        return source.plan.rows(units) if isinstance(source, Unlabelled) else source.select(units)


@dataclass(frozen=True)
class TaskBatches:
    """The updates of one task or many, epoch by epoch."""

    prepared: Mapping[str, Prepared | Unlabelled]
    """Task -> its training rows."""
    batch_size: int
    mixing: Mixing
    epochs: float = 1.0
    """How many are planned, over which a scheduled law moves."""
    virtual_sizes: Mapping[str, int] = field(default_factory=dict)
    """What tasks count as in the mix, where that is not the number of their rows."""

    @cached_property
    def units(self) -> dict[str, np.ndarray]:
        """Task -> those of its units that ask something."""
        return {name: np.flatnonzero(found.asked) for name, found in self.prepared.items()}

    @property
    def sizes(self) -> dict[str, int]:
        """Task -> batches in one round through its rows."""
        return {name: -(-len(units) // self.batch_size) for name, units in self.units.items()}

    def counts(self, epoch: int) -> dict[str, int]:
        """Returns task -> batches in this epoch, an epoch being as many batches as all tasks have together."""
        counted = {name: self.virtual_sizes.get(name, len(units)) for name, units in self.units.items()}
        shares = self.mixing.shares(counted, progress=min(1.0, epoch / self.epochs))
        return allotted(shares, sum(self.sizes.values()))

    def plan(self, noise: Noise) -> TaskPlan:
        """Returns the batches of the epoch that the noise's view names."""
        groups: list[tuple[str, np.ndarray]] = []
        for name, count in self.counts(noise.view).items():
            round_number = 0
            mine: list[np.ndarray] = []
            while len(mine) < count:
                mine += self._grouped(name, noise.of(f"{name}/{round_number}"))
                round_number += 1
            groups += [(name, units) for units in mine[:count]]
        return TaskPlan(tuple(groups), self.prepared)

    def _grouped(self, name: str, noise: Noise) -> list[np.ndarray]:
        """One round through a task's units, in batches of like length; the batches in an order by chance."""
        units = self.units[name]
        blurred = self.prepared[name].costs[units] * (1 + _BLUR * noise.of("blur").uniform(units))
        groups = in_batches(blurred, self.batch_size)
        order = noise.of("groups").permutation(len(groups), np.arange(len(groups)))
        return [np.sort(units[groups[i]]) for i in order]
