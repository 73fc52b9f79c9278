"""Which layers of a stack use the same weights?"""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class SharingPlan:
    """For each layer, the number of the attention part and of the feed-forward part it uses, counted from 0
    without gaps. own: how many layers, from the lowest, each language has for itself."""

    attention: tuple[int, ...]
    feed_forward: tuple[int, ...]
    own: int = 0


class Sharing(ABC):
    """A sharing plan. A part's norm belongs to the part and is shared with it."""

    languages: tuple[str, ...] = ()
    """Those that have parts of their own, in the order of their numbers."""

    @property
    def tables(self) -> int:
        """How many tables of pieces there are: one, or one for each language."""
        return 1

    @abstractmethod
    def plan(self, num_hidden_layers: int) -> SharingPlan:
        """Returns the plan for so many layers."""
