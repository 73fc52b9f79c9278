"""A figure that needs no training, beside what guessing is worth."""

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
    interval: tuple[float, float] | None = None
    """Where the value would lie for 95 in 100 other draws of what was asked; None if nobody computed it."""
    rows: tuple[tuple[int, int], ...] = ()
    """For each held-out row, how many were right of how many asked, so that two models that were asked the same can be
    compared row by row; empty if nobody kept it."""

    def __str__(self) -> str:
        """
        >>> str(Figure("the right one of two", 0.75, {"chance": 0.5}, 40))
        'the right one of two: 75.0% of 40 (chance 50.0%)'
        >>> str(Figure("the right one of two", 0.75, {}, 40, (0.6, 0.9)))
        'the right one of two: 75.0% (60.0% to 90.0%) of 40'
        """
        low_high = "" if self.interval is None else f" ({self.interval[0]:.1%} to {self.interval[1]:.1%})"
        others = ", ".join(f"{name} {value:.1%}" for name, value in self.beside.items())
        return f"{self.name}: {self.value:.1%}{low_high} of {self.count:,}" + (f" ({others})" if others else "")
