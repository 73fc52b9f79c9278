"""Straight up, then down along half a cosine.

Source: Loshchilov and Hutter 2017 (1608.03983), equation 5, without restarts; warm-up as in GPT-2's relatives.
"""

import math
from dataclasses import dataclass

from afterbert.base.numbers import NotNegative, Share
from afterbert.training.schedules import Schedule, elapsed, rise, warmup_steps


@dataclass(frozen=True)
class Cosine(Schedule):
    """`warmup`: share of the run, or steps from 1 on. `final`: the share of the peak that the curve leads to.

    >>> [round(Cosine(warmup=0, final=0.1)(step, 4), 3) for step in range(4)]
    [1.0, 0.868, 0.55, 0.232]
    """

    warmup: NotNegative = 0.05
    final: Share = 0.0

    def __call__(self, step: int, total_steps: int) -> float:
        up = warmup_steps(self.warmup, total_steps)
        wave = 0.5 * (1 + math.cos(math.pi * elapsed(step, up, total_steps)))
        return rise(step, up) * (self.final + (1 - self.final) * wave)
