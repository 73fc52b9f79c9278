"""Stages of a run: what follows what, each for its share of the steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from afterbert.base.errors import UserError


@dataclass(frozen=True)
class Stages:
    """who: what goes through them, as a user knows it. names: of the stages, in their order. shares: of the run's
    steps, in any scale. in_training: whether nothing that is read or asked depends on them, only how training
    scores it; then a run too short for all of them goes through some.

    >>> stages = Stages("selection staged", ("pieces", "words"), (1, 3))
    >>> stages.starts, [stages.at(progress) for progress in (0.0, 0.2, 0.25, 1.0)]
    ((0.0, 0.25), [0, 0, 1, 1])
    """

    who: str
    names: tuple[str, ...]
    shares: tuple[float, ...]
    in_training: bool = False

    @property
    def starts(self) -> tuple[float, ...]:
        """At which share of the run each begins."""
        total = math.fsum(self.shares)
        return tuple(math.fsum(self.shares[:number]) / total for number in range(len(self.shares)))

    def at(self, progress: float) -> int:
        """Returns the number of the stage in which a run is when the share `progress` of it is done."""
        return max(number for number, start in enumerate(self.starts) if start <= progress + 1e-9)

    def first_steps(self, total_steps: int) -> list[int]:
        """Returns the first step (0-based) of each stage, in a run of so many steps. Raises UserError if a stage would
        have none that rows depend on."""
        first = [math.ceil(start * total_steps - 1e-9 * total_steps) for start in self.starts]
        if not self.in_training and any(one >= following for one, following in zip(first, [*first[1:], total_steps])):
            enough = math.ceil(math.fsum(self.shares) / min(self.shares))
            raise UserError(
                f"{self.who} has {len(self.names)} stages ({', '.join(self.names)}), of which one would not come in a "
                f"run of {total_steps} step{'s' if total_steps > 1 else ''}; train for at least {enough}"
            )
        return first

    def told(self, total_steps: int) -> str:
        """Announces the stages in one line.

        >>> Stages("selection staged", ("pieces", "words"), (1, 3)).told(100)
        'stages of selection staged: pieces (steps 1 to 25), words (steps 26 to 100)'
        """
        first = self.first_steps(total_steps)
        parts = [
            f"{name} (steps {begins + 1} to {ends})"
            for name, begins, ends in zip(self.names, first, [*first[1:], total_steps])
            if begins < ends
        ]
        return f"stages of {self.who}: {', '.join(parts)}"


def widths(begins: Sequence[float]) -> list[float]:
    """Returns the shares of a run between these moments, and from the last one to its end.

    >>> widths((0.0, 0.75))
    [0.75, 0.25]
    """
    return [end - begin for begin, end in zip(begins, [*begins[1:], 1.0])]


def moments(courses: Sequence[Stages]) -> tuple[float, ...]:
    """Returns the shares of a run at which something new begins in any of these; 0 is always one."""
    return tuple(sorted({0.0, *(start for stages in courses for start in stages.starts)}))
