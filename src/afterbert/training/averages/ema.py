"""An exponential moving average: the more recent weights are, the more they count.

Source: Polyak and Juditsky 1992 for averaging at all; Tarvainen and Valpola 2017 (1703.01780), Section 3, for the
exponential kind. The first weights are a plain mean, until the memory is full: fresh weights are soon forgotten.
"""

from dataclasses import dataclass

from afterbert.base.numbers import InnerShare
from afterbert.training.averages import Average


@dataclass(frozen=True)
class Ema(Average):
    """
    >>> [round(Ema(memory=0.4).share_of_new(step, 10), 2) for step in (0, 1, 2, 3, 9)]
    [1.0, 0.5, 0.33, 0.25, 0.25]
    """

    memory: InnerShare = 0.05
    """Over which share of the run weights fade to 1/e."""

    def share_of_new(self, step: int, total_steps: int) -> float:
        return 1.0 / min(step + 1, max(1.0, self.memory * total_steps))

    def told(self, total_steps: int) -> str:
        steps = max(1, round(self.memory * total_steps))
        return f"weights are averaged and fade over {steps:,} steps; the average is evaluated and exported"
