"""Straight up, then down with the square root of time.

Source: Vaswani et al. 2017 (1706.03762), Section 5.3; T5 (1910.10683 Section 3.1.2) stays level instead of
rising, which is `rises: false`.
"""

from dataclasses import dataclass

from afterbert.base.numbers import NotNegative
from afterbert.training.schedules import Schedule, rise, warmup_steps


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """`warmup`: share of the run, or steps from 1 on. The curve does not know the end: half the peak at four warm-ups.

    >>> [round(InverseSqrt(warmup=2)(step, 8), 3) for step in (0, 1, 3, 7)]
    [0.5, 1.0, 0.707, 0.5]
    >>> InverseSqrt(warmup=2, rises=False)(0, 8)
    1.0
    """

    warmup: NotNegative = 0.05
    rises: bool = True

    def __call__(self, step: int, total_steps: int) -> float:
        up = max(1, warmup_steps(self.warmup, total_steps))
        start = rise(step, up) if self.rises else 1.0
        return start * min(1.0, (up / (step + 1)) ** 0.5)
