"""Each source by its size, up to a limit K. Source: T5 (1910.10683), Section 3.5.2, examples-proportional mixing."""

from collections.abc import Mapping
from dataclasses import dataclass

from afterbert.base.mixing import Mixing, normalized
from afterbert.base.numbers import Count


@dataclass(frozen=True)
class Proportional(Mixing):
    """Draws each source by its size, up to a limit.

    >>> Proportional(limit=100)    .shares({"small": 50, "huge": 10_000})
    {'small': 0.3333333333333333, 'huge': 0.6666666666666666}
    """

    limit: Count | None = None
    """K, the size that a source counts as at most (T5: 2**16 to 2**21); None for no limit, as in MT-DNN."""

    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        return normalized({name: min(size, self.limit or size) for name, size in sizes.items()})
