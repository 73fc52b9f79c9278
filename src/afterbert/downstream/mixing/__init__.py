"""Mixing laws: how often each of several sources is drawn, given how large they are. One law a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping


class Mixing(ABC):
    """A law as a frozen config."""

    @abstractmethod
    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        """Source -> share of the draws, adding up to 1. sizes: examples of each source, positive; progress:
        how much of the run is behind, in [0, 1]. Raises UserError for sources that the law does not know."""


def normalized(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights as shares.

    >>> normalized({"a": 3, "b": 1})
    {'a': 0.75, 'b': 0.25}
    """
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
