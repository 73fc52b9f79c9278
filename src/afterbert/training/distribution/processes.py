"""What the loop asks of the other processes of a run. One process is the case in which nobody answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from afterbert.base.errors import UserError

T = TypeVar("T")


class ProcessLost(UserError):
    """Another process of the run is gone, so nothing can be learned until the run is resumed."""


class Processes(ABC):
    """The processes of one run, of which this is number `rank` of `size`. Calls are collective: all make them in the
    same order. Values are JSON."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @abstractmethod
    def total(self, numbers: Sequence[float]) -> list[float]:
        """Returns each number [N] summed over all processes, in float64 (counts stay exact)."""

    @abstractmethod
    def most(self, number: float) -> float:
        """Returns the largest number that any process has."""

    @abstractmethod
    def gathered(self, value: Any) -> list[Any]:
        """Gathers what every process gave, by rank."""

    @abstractmethod
    def on_rank_zero(self, action: Callable[[], T]) -> T:
        """Calls `action` in process 0 and gives its result to all; it may take any time, and is not called elsewhere.

        A UserError raised there is raised in all.
        """

    def any(self, flag: bool) -> bool:
        """Returns whether the flag is set in any process."""
        return self.most(flag) > 0

    def lost(self, error: BaseException) -> ProcessLost | None:
        """Finds what an error says about another process that is gone; None if it has other causes."""
        return None


class SingleProcess(Processes):
    """A single process."""

    rank = 0
    size = 1

    def total(self, numbers: Sequence[float]) -> list[float]:
        return list(numbers)

    def most(self, number: float) -> float:
        return number

    def gathered(self, value: Any) -> list[Any]:
        return [value]

    def on_rank_zero(self, action: Callable[[], T]) -> T:
        return action()
