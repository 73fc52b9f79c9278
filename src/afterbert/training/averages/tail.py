"""The mean of all weights of the last part of a run.

Source: Izmailov et al. 2018 (1803.05407), Section 3, at every step; Sanyal et al. 2023 (2306.03241)
for language models.
"""

from dataclasses import dataclass

from afterbert.base.numbers import Rate
from afterbert.training.averages import Average


@dataclass(frozen=True)
class Tail(Average):
    """
    >>> [round(Tail(share=0.3).share_of_new(step, 10), 2) for step in (0, 6, 7, 8, 9)]
    [0.0, 0.0, 1.0, 0.5, 0.33]
    """

    share: Rate = 0.1
    """The share of the run's steps, at its end, that is averaged."""

    def share_of_new(self, step: int, total_steps: int) -> float:
        counted = step + 1 - self._before(total_steps)
        return 1.0 / counted if counted > 0 else 0.0

    def told(self, total_steps: int) -> str:
        first = self._before(total_steps) + 1
        return f"weights are averaged from step {first:,} on; the average is evaluated and exported"

    def _before(self, total_steps: int) -> int:
        """How many steps are not counted."""
        return min(round((1 - self.share) * total_steps), total_steps - 1)
