"""A figure that needs no training, beside what guessing is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """name: what was asked, in words; value: a share of 1, or a correlation; beside: other ways to answer it, such as
    chance -> their value; count: how many things were asked."""

    name: str
    value: float
    beside: Mapping[str, float] = field(default_factory=dict)
    count: int = 0

    def __str__(self) -> str:
        """
        >>> str(Figure("the right one of two", 0.75, {"chance": 0.5}, 40))
        'the right one of two: 75.0% of 40 (chance 50.0%)'
        """
        others = ", ".join(f"{name} {value:.1%}" for name, value in self.beside.items())
        return f"{self.name}: {self.value:.1%} of {self.count:,}" + (f" ({others})" if others else "")
