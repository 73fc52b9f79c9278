"""Mixing laws: how often each of several sources is drawn, given how large they are: tasks, corpora, languages.
One law a file."""

from abc import ABC, abstractmethod
from collections.abc import Mapping


class Mixing(ABC):
    """A law as a frozen config."""

    @property
    def moves(self) -> bool:
        """Whether the shares change in the course of a run."""
        return False

    @abstractmethod
    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        """Returns source -> share of the draws, adding up to 1. sizes: examples of each source, positive; progress: how
        much of the run is behind, in [0, 1]. Raises UserError for sources that the law does not know."""


def normalized(weights: Mapping[str, float]) -> dict[str, float]:
    """Returns weights as shares.

    >>> normalized({"a": 3, "b": 1})
    {'a': 0.75, 'b': 0.25}
    """
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def allotted(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Returns whole numbers that add up to `total`, as near to the shares as possible; at least 1 for a share above 0.

    >>> allotted({"a": 0.5, "b": 0.3, "c": 0.2}, 8)
    {'a': 4, 'b': 2, 'c': 2}
    >>> allotted({"a": 0.999, "b": 0.001}, 8)
    {'a': 7, 'b': 1}
    """
    exact = {name: share * total for name, share in shares.items()}
    found = {name: max(int(value), int(value > 0)) for name, value in exact.items()}
    while sum(found.values()) != total:
        step = 1 if sum(found.values()) < total else -1
        open_ones = [name for name in found if step > 0 or found[name] > 1]
        if not open_ones:
            break
        name = max(open_ones, key=lambda one: step * (exact[one] - found[one]))
        found[name] += step
    return found
