"""Warm-up, stable, decay: straight up, level for most of the run, down at its end.

Sources: Zhai et al. 2022 (2106.04560), Section 3.5; MiniCPM (2404.06395), Section 4, which names it; Hägele et al.
2024 (2405.18392), Section 3, for the decay by a square root.
"""

from dataclasses import dataclass
from typing import Literal

from afterbert.base.numbers import NotNegative, Share
from afterbert.training.schedules import Schedule, elapsed, rise, warmup_steps


@dataclass(frozen=True)
class Wsd(Schedule):
    """
    >>> [round(Wsd(warmup=2, decay=4)(step, 8), 2) for step in range(8)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    >>> [round(Wsd(warmup=2, decay=4, shape="sqrt")(step, 8), 2) for step in range(8)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.29, 0.13]
    """

    warmup: NotNegative = 0.05
    """Share of the run, or steps from 1 on."""
    decay: NotNegative = 0.4
    """How long it falls at the end: share of the run, or steps from 1 on."""
    final: Share = 0.0
    """The share of the peak that the fall leads to."""
    shape: Literal["linear", "sqrt"] = "linear"
    """Straight down, or as 1 minus the square root: steep first."""

    def __call__(self, step: int, total_steps: int) -> float:
        up, down = (min(warmup_steps(span, total_steps), total_steps) for span in (self.warmup, self.decay))
        gone = elapsed(step, max(up, total_steps - down), total_steps)
        gone = gone**0.5 if self.shape == "sqrt" else gone
        return rise(step, up) * (1 - (1 - self.final) * gone)
