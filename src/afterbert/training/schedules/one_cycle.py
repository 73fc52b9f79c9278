"""One cycle: up along half a cosine, then down along half a cosine to far below the start.

Source: Smith and Topin 2018 (1708.07120); cosine halves instead of straight lines as in fast.ai's and torch's versions.
The momentum stays where it is: with Adam, whose step it only smooths, we leave that half of the idea out.
"""

import math
from dataclasses import dataclass

from afterbert.base.numbers import NotNegative, Share
from afterbert.training.schedules import Schedule, warmup_steps


@dataclass(frozen=True)
class OneCycle(Schedule):
    """`warmup`: share of the run, or steps from 1 on; `start`, `final`: the shares of the peak at the two ends.

    >>> [round(OneCycle(warmup=2, start=0.2, final=0.0)(step, 7), 2) for step in range(7)]
    [0.2, 0.6, 1.0, 0.85, 0.5, 0.15, 0.0]
    """

    warmup: NotNegative = 0.3
    start: Share = 0.04
    final: Share = 0.00001

    def __call__(self, step: int, total_steps: int) -> float:
        up = warmup_steps(self.warmup, total_steps)
        if step < up:
            return _bend(self.start, 1.0, step / up)
        return _bend(1.0, self.final, (step - up) / max(total_steps - 1 - up, 1))


def _bend(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))
