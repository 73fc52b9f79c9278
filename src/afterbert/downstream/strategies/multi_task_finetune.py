"""All tasks and running text together, then fine-tuned on each task. Source: T5 (1910.10683), Section 3.5.3."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from afterbert.downstream.strategies import Share, Strategy


@dataclass(frozen=True)
class MultiTaskFinetune(Strategy):
    """
    >>> MultiTaskFinetune().mixed("a", tasks=["a", "b"], texts=["web"], groups={})
    ('a', 'b', 'web')
    """

    needs_texts: ClassVar[bool] = True
    share: Share = 2 / 3

    def mixed(
        self, target: str, *, tasks: Sequence[str], texts: Sequence[str], groups: Mapping[str, str]
    ) -> tuple[str, ...]:
        return (*tasks, *texts)
