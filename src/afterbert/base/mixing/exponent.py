"""Shares to the power S, which lifts small languages. Source: multilingual BERT's release note, S = 0.7; XLM
(1901.07291), Section 3.1, 0.5."""

from collections.abc import Mapping
from dataclasses import dataclass

from afterbert.base.mixing import Mixing, normalized
from afterbert.base.numbers import NotNegative


@dataclass(frozen=True)
class Exponent(Mixing):
    """exponent: S.

    >>> Exponent(exponent=0.5).shares({"a": 100, "b": 900})
    {'a': 0.25, 'b': 0.75}
    """

    exponent: NotNegative = 0.7

    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        return normalized({name: size**self.exponent for name, size in normalized(sizes).items()})
