"""Shares as they are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.mixing import Mixing, normalized


@dataclass(frozen=True)
class Fixed(Mixing):
    """Draws each source by a weight of its own.

    >>> Fixed({"a": 3, "b": 1}).shares({"a": 5, "b": 5})
    {'a': 0.75, 'b': 0.25}
    """

    weights: dict[str, float] = field(default_factory=dict)
    """Source -> weight, of any sum; every source needs one."""

    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        check_weights(self.weights, sizes)
        return normalized({name: self.weights[name] for name in sizes})


def check_weights(weights: Mapping[str, float], sizes: Mapping[str, int]) -> None:
    """Raises UserError if a source has no weight, a weight no source, or a weight is no weight."""
    for name in sizes:
        if name not in weights:
            raise UserError(f"mixing gives no weight to '{name}'; {did_you_mean(name, list(weights))}")
    for name, weight in weights.items():
        if name not in sizes:
            raise UserError(f"mixing gives a weight to '{name}', which is no source; {did_you_mean(name, list(sizes))}")
        if weight < 0:
            raise UserError(f"mixing gives '{name}' the weight {weight:g}; weights are at least 0")
    if not any(weights.values()):
        raise UserError("mixing gives every source the weight 0; raise one")
