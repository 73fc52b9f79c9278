"""Which layers of a stack use the same weights?"""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class SharingPlan:
    """For each layer, the number of the attention part and of the feed-forward part it uses, counted from 0
    without gaps."""

    attention: tuple[int, ...]
    feed_forward: tuple[int, ...]


class Sharing(ABC):
    """A sharing plan. A part's norm belongs to the part and is shared with it."""

    @abstractmethod
    def plan(self, num_hidden_layers: int) -> SharingPlan:
        """The plan for so many layers."""
