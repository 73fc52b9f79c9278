"""How long a run is: its budget in steps, fixed once when the run begins and kept in the run folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.training.config import Training
from afterbert.training.feed import Feed

_SAMPLED_STEPS = 8

# How long the clock is asked: after the warm steps at least so many steps and this share of the budget (at most
# so many seconds); never more than the last share.
_WARM_STEPS, _TIMED_STEPS, _TIMED_SHARE, _TIMED_SECONDS, _MOST_SHARE = 2, 5, 0.04, 10.0, 0.15


@dataclass(frozen=True)
class Timing:
    """Measured seconds: of one step, one evaluation, one checkpoint; and those spent before the first step."""

    step: float
    evaluation: float
    checkpoint: float
    spent: float


@dataclass(frozen=True)
class Rates:
    """The rates of a run: what a step amounts to in each unit; None if it is not known."""

    tokens_per_step: float
    steps_per_epoch: float
    flops_per_step: float | None = None
    seconds_per_step: float | None = None

    def steps(self, budget: Budget) -> float:
        """Returns the budget in steps, not rounded. Raises UserError if its unit is not known here."""
        if budget.unit == "steps":
            return budget.amount
        if budget.unit == "epochs":
            return budget.amount * self.steps_per_epoch
        rate = {"tokens": self.tokens_per_step, "flops": self.flops_per_step, "seconds": self.seconds_per_step}[
            budget.unit
        ]
        if not rate:
            raise UserError(f"{budget} cannot be turned into steps here; write it in steps, tokens or epochs")
        return budget.amount / rate


@dataclass(frozen=True)
class RunLength:
    """The length of a run: `total_steps` for the budget it was begun with, and the rates that led to it."""

    budget: Budget
    total_steps: int
    rates: Rates

    def every(self, interval: Budget | None) -> int | None:
        """Returns an interval in whole steps, at least 1; None stays None. An interval in the budget's own unit is a
        share of the run."""
        if interval is None:
            return None
        if interval.unit == self.budget.unit:
            return max(1, round(self.total_steps * interval.amount / self.budget.amount))
        return max(1, round(self.rates.steps(interval)))

    def save(self, path: Path) -> None:
        """Writes it with its digest, whole and synced."""
        write_sealed(path, asdict(self))

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> RunLength:
        """Returns a run length from what `asdict` made of one."""
        return cls(Budget(**plain["budget"]), plain["total_steps"], Rates(**plain["rates"]))

    @classmethod
    def load(cls, path: Path) -> RunLength:
        """Reads what `save` wrote. Raises UserError if the file is missing, damaged or changed: the length of a run
        cannot be found out again."""
        try:
            return cls.of(read_sealed(path, remedy="restore it"))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is missing or damaged, and with it the number of steps of this run; restore it ({error})"
            ) from error


def needs_timing(training: Training) -> bool:
    """Returns whether the speed must be measured before the run's length is known."""
    every = training.evaluate_every
    return training.budget.unit == "seconds" or (every is not None and every.unit == "seconds")


def are_enough(durations: Sequence[float], training: Training) -> bool:
    """Returns whether the seconds of these steps tell how long one takes; where nobody asks, a single one does."""
    if not needs_timing(training):
        return len(durations) >= 1
    budget = training.budget
    whole = budget.amount if budget.unit == "seconds" else float("inf")
    if len(durations) >= 2 and sum(durations) > _MOST_SHARE * whole:
        return True
    timed = durations[_WARM_STEPS:]
    return len(timed) >= _TIMED_STEPS and sum(timed) >= min(_TIMED_SHARE * whole, _TIMED_SECONDS)


def seconds_per_step(durations: Sequence[float], shares: Sequence[float] = (1.0,)) -> float:
    """Returns the mean without the first steps, where there are more. shares: of the stages that these steps went
    through in turn.

    >>> seconds_per_step([9.0, 5.0, 1.0, 3.0]), seconds_per_step([9.0, 5.0]), seconds_per_step([])
    (2.0, 5.0, 0.0)
    >>> seconds_per_step([9.0, 50.0, 1.0, 11.0, 1.0, 11.0], (0.9, 0.1))
    2.0
    """
    mean = 0.0
    for stage, share in enumerate(shares):
        own = [(step, taken) for step, taken in enumerate(durations) if step % len(shares) == stage]
        timed = [taken for step, taken in own if step >= _WARM_STEPS] or [taken for _, taken in own[-1:]] or [0.0]
        mean += share * sum(timed) / len(timed)
    return mean


def rates_of(feed: Feed, *, flops_per_step: float | None, timing: Timing | None) -> Rates:
    """Tokens are the mean of a few steps spread over the first epoch; epochs count the first one's rows."""
    tokens_per_step = 0.0
    for begin, end, part in feed.parts:
        sizes = part.batch_sizes
        spread = np.linspace(0, max(0, part.epochs.num_rows(0) / max(sizes.sizes) - 1), _SAMPLED_STEPS)
        numbers = np.unique(spread.astype(int)).tolist()
        tokens = [sum(batch.num_tokens for batch in part.step(number)) for number in numbers]
        rows = [sizes.at(part.progress_at(number)) for number in numbers]
        tokens_per_step += (end - begin) * float(np.mean(tokens)) * (sizes.mean(begin, end) / float(np.mean(rows)))
    return Rates(tokens_per_step, feed.steps_per_epoch, flops_per_step, timing.step if timing else None)


def lay_out(training: Training, rates: Rates, timing: Timing | None = None) -> RunLength:
    """Returns the run length for this budget: at least one step, and never more than the budget except to end an
    epoch's last batch.

    Raises UserError if an interval or the budget is in a unit that cannot be turned into steps.
    """
    budget = training.budget
    steps = rates.steps(budget)
    if budget.unit == "seconds" and timing is not None:
        steps = _steps_in(budget.amount, training, rates, timing)
    rounded = math.ceil(steps - 1e-9) if budget.unit == "epochs" else int(steps + 1e-9)
    course = RunLength(budget, max(1, rounded), rates)
    course.every(training.evaluate_every)
    return course


def said_of_short(course: RunLength, timing: Timing) -> str | None:
    """Tells the user where less than half of a time is left for training; None elsewhere."""
    budget = course.budget
    share = course.total_steps * timing.step / budget.amount
    if budget.unit != "seconds" or share >= 0.5:
        return None
    left = f"of {budget} only {share:.0%} is training ({course.total_steps:,} steps)"
    taken = f"what came before took {timing.spent:.0f} s, each evaluation takes {timing.evaluation:.1f} s"
    return f"{left}: {taken}; give a longer budget, or a longer training.evaluate_every"


def _steps_in(seconds: float, training: Training, rates: Rates, timing: Timing) -> float:
    """Steps that fit into a time, with the evaluations and checkpoints that will be made in it."""
    free = seconds - timing.spent - timing.evaluation - timing.checkpoint
    per_step = timing.step
    for every, cost in ((training.evaluate_every, timing.evaluation), (training.checkpoint_every, timing.checkpoint)):
        if every is None:
            continue
        if every.unit == "seconds":
            free -= (math.ceil(seconds / every.amount) - 1) * cost  # the one at the end is counted above
        else:
            per_step += cost / max(1.0, rates.steps(every))
    return free / per_step
