"""All sources alike, but none more often than its epochs allow; what that leaves over goes to the others alike.

Source: UniMax (Chung et al. 2023, 2304.09151), Section 3, Algorithm 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from afterbert.base.mixing import Mixing, normalized
from afterbert.base.numbers import Positive


@dataclass(frozen=True)
class Unimax(Mixing):
    """Draws all sources alike, but none more often than a number of epochs.

    >>> Unimax(epochs=2).shares({"a": 100, "b": 300, "c": 600})
    {'a': 0.2, 'b': 0.4, 'c': 0.4}
    """

    epochs: Positive = 4.0
    """N, how often a source is read at most."""
    budget: Positive = 1.0
    """How much is read in all, in epochs of all sources together. If it is more than all may be read, sources come by
    size."""

    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        left, taken = self.budget * sum(sizes.values()), dict[str, float]()
        for number, name in enumerate(sorted(sizes, key=lambda one: sizes[one])):
            taken[name] = min(left / (len(sizes) - number), self.epochs * sizes[name])
            left -= taken[name]
        return normalized({name: taken[name] for name in sizes})
