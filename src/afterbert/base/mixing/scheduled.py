"""Shares that move over the run, from one set of weights to another along a straight line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from afterbert.base.mixing import Mixing, normalized
from afterbert.base.mixing.fixed import check_weights


@dataclass(frozen=True)
class Scheduled(Mixing):
    """Draws by weights that move from one set to another along the run.

    >>> Scheduled({"a": 1, "b": 0}, {"a": 1, "b": 3}).shares({"a": 5, "b": 5}, progress=0.5)
    {'a': 0.625, 'b': 0.375}
    """

    first: dict[str, float] = field(default_factory=dict)
    """Source -> weight at the beginning. Both sets become shares before they are mixed."""
    last: dict[str, float] = field(default_factory=dict)
    """Source -> weight at the end."""

    moves = True

    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        check_weights(self.first, sizes)
        check_weights(self.last, sizes)
        begin, end = normalized(self.first), normalized(self.last)
        return {name: (1 - progress) * begin[name] + progress * end[name] for name in sizes}
