"""All sources alike. Source: T5 (1910.10683), Section 3.5.2, equal mixing."""

from collections.abc import Mapping
from dataclasses import dataclass

from afterbert.base.mixing import Mixing, normalized


@dataclass(frozen=True)
class Equal(Mixing):
    """
    >>> Equal().shares({"a": 1, "b": 99})
    {'a': 0.5, 'b': 0.5}
    """

    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        return normalized(dict.fromkeys(sizes, 1.0))
