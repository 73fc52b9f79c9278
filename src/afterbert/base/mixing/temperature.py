"""Proportional shares to the power 1/T. Source: T5 (1910.10683), Section 3.5.2, temperature-scaled mixing."""

from collections.abc import Mapping
from dataclasses import dataclass

from afterbert.base.mixing import Mixing, normalized
from afterbert.base.mixing.proportional import Proportional
from afterbert.base.numbers import Count, Positive


@dataclass(frozen=True)
class Temperature(Mixing):
    """Draws each source by its proportional share to the power 1/T.

    >>> Temperature(temperature=2).shares({"a": 100, "b": 900})
    {'a': 0.25, 'b': 0.75}
    """

    temperature: Positive = 2.0
    """T: 1 is proportional, large values come near to equal (T5: 2, 4, 8)."""
    limit: Count | None = 2**21
    """K as in `proportional` (T5: 2**21)."""

    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        flat = Proportional(self.limit).shares(sizes)
        return normalized({name: share ** (1 / self.temperature) for name, share in flat.items()})
