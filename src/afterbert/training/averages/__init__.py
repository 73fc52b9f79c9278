"""Which average of the weights along a run is evaluated and exported in place of the last ones. One average a file."""

from abc import ABC, abstractmethod


class Average(ABC):
    """An average as a frozen config. What is trained is not touched by it."""

    @abstractmethod
    def share_of_new(self, step: int, total_steps: int) -> float:
        """Returns how far the average moves to the weights after update number `step` (0-based) of `total_steps`, from
        0 to 1; a pure function. 0 is for steps that do not count, 1 begins anew from these weights."""

    @abstractmethod
    def told(self, total_steps: int) -> str:
        """Says in one line what is averaged in a run of so many steps."""
