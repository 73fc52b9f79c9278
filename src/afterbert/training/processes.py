"""What the loop asks of the other processes of a run. One process is the case in which nobody answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence


class Processes(ABC):
    """The processes of one run, of which this is number `rank` of `size`. Calls are collective: all make them
    in the same order.
    """

    rank: int
    size: int

    @abstractmethod
    def total(self, numbers: Sequence[float]) -> list[float]:
        """Each number [N] summed over all processes, in float64 (counts stay exact)."""

    @abstractmethod
    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""


class Alone(Processes):
    """A single process."""

    rank = 0
    size = 1

    def total(self, numbers: Sequence[float]) -> list[float]:
        return list(numbers)

    def any(self, flag: bool) -> bool:
        return flag
