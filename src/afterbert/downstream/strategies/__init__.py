"""Strategies: what a model is trained on before, and whether it is then fine-tuned on, the task that counts. One a
file.

Source: T5 (1910.10683), Section 3.5.3, Table 12. All take the same number of steps for each task.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field

#: Of all steps, those before fine-tuning: T5's 2^19 of 2^19 + 2^18.
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Sources:
    """Names of tasks and of running texts that may be mixed. groups: task -> the group that stands for one task."""

    tasks: Sequence[str]
    texts: Sequence[str] = ()
    groups: Mapping[str, str] = field(default_factory=dict)


class Strategy(ABC):
    """Two stages as a frozen config: several sources mixed, then one task alone.

    has_second: whether each task is fine-tuned on its own at the end. needs_texts: whether it makes no sense
    without running text. share: of all steps that the first stage takes, where there are two.
    """

    has_second: ClassVar[bool] = True
    needs_texts: ClassVar[bool] = False
    share: Share

    @abstractmethod
    def mixed(self, target: str, among: Sources) -> tuple[str, ...]:
        """Names what is trained together in the first stage, when `target` is the task that counts; empty for no such
        stage."""

    def steps(self, total: int, *, has_first: bool = True) -> tuple[int, int]:
        """Returns the steps of the first stage and of the second.

        Together always `total`, and at least 1 in each stage there is.
        """
        if not has_first:
            return 0, total
        if not self.has_second:
            return total, 0
        first = min(max(1, round(self.share * total)), max(1, total - 1))
        return first, max(1, total - first)
