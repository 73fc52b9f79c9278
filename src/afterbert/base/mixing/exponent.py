"""Shares to the power S, which lifts small languages. Source: multilingual BERT's release note, S = 0.7; XLM
(1901.07291), Section 3.1, 0.5; falling over the run: mmBERT (2509.06888), Section 3, 0.7 to 0.3."""

from collections.abc import Mapping
from dataclasses import dataclass

from afterbert.base.mixing import Mixing, normalized
from afterbert.base.numbers import NotNegative


@dataclass(frozen=True)
class Exponent(Mixing):
    """Draws each source by its share of the rows to the power S.

    >>> Exponent(exponent=0.5).shares({"a": 100, "b": 900})
    {'a': 0.25, 'b': 0.75}
    """

    exponent: NotNegative = 0.7
    """S: 1 draws by size, 0 draws all alike."""
    last: NotNegative | None = None
    """The value that S reaches by the end of the run, along a straight line; None: S stays."""

    @property
    def moves(self) -> bool:
        return self.last is not None

    def shares(self, sizes: Mapping[str, int], *, progress: float = 0.0) -> dict[str, float]:
        last = self.exponent if self.last is None else self.last
        power = (1 - progress) * self.exponent + progress * last
        return normalized({name: size**power for name, size in normalized(sizes).items()})
