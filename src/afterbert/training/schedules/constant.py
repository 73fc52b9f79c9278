"""Straight up, then level."""

from dataclasses import dataclass

from afterbert.base.numbers import NotNegative
from afterbert.training.schedules import Schedule, rise, warmup_steps


@dataclass(frozen=True)
class Constant(Schedule):
    """`warmup`: share of the run, or steps from 1 on.

    >>> [Constant(warmup=2)(step, 4) for step in range(4)]
    [0.5, 1.0, 1.0, 1.0]
    """

    warmup: NotNegative = 0.0

    def __call__(self, step: int, total_steps: int) -> float:
        return rise(step, warmup_steps(self.warmup, total_steps))
