"""How the learning rate moves over a run. One curve a file."""

from abc import ABC, abstractmethod


class Schedule(ABC):
    """A curve as a frozen config: a pure function, so a resumed run needs only its step number."""

    @abstractmethod
    def __call__(self, step: int, total_steps: int) -> float:
        """The share of the peak learning rate, in [0, 1], for update number `step` (0-based) of `total_steps`."""


def warmup_steps(warmup: float, total_steps: int) -> int:
    """Returns a warm-up in steps, from a share of the run (below 1) or a number of steps.

    >>> warmup_steps(0.05, 200), warmup_steps(10_000, 1_000_000), warmup_steps(0, 200)
    (10, 10000, 0)
    """
    return round(warmup * total_steps) if warmup < 1 else round(warmup)


def rise(step: int, steps: int) -> float:
    """Returns the factor of a straight rise from 0 over the warm-up's `steps`, 1 after it. The first update already
    moves a little.

    >>> [rise(step, 4) for step in range(6)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    return min(1.0, (step + 1) / steps) if steps else 1.0


def elapsed(step: int, start: int, total_steps: int) -> float:
    """Returns the share of the way from `start` to the end done at update `step`: 0 at `start`, below 1 at the last.

    >>> [elapsed(step, 2, 6) for step in range(6)]
    [0.0, 0.0, 0.0, 0.25, 0.5, 0.75]
    """
    return min(1.0, max(0.0, (step - start) / max(total_steps - start, 1)))
