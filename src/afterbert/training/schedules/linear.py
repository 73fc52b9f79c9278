"""Straight up, then straight down.

Source: BERT (1810.04805 Appendix A.2).
"""

from dataclasses import dataclass

from afterbert.base.numbers import NotNegative, Share
from afterbert.training.schedules import Schedule, elapsed, rise, warmup_steps


@dataclass(frozen=True)
class Linear(Schedule):
    """`warmup`: share of the run, or steps from 1 on. `final`: the share of the peak that the line leads to.

    >>> [round(Linear(warmup=2)(step, 6), 2) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """

    warmup: NotNegative = 0.05
    final: Share = 0.0

    def __call__(self, step: int, total_steps: int) -> float:
        up = warmup_steps(self.warmup, total_steps)
        return rise(step, up) * (1 - (1 - self.final) * elapsed(step, up, total_steps))
