"""All tasks and running text together, and nothing after it. Source: T5 (1910.10683), Section 3.5.2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from afterbert.downstream.strategies import Strategy


@dataclass(frozen=True)
class MultiTask(Strategy):
    """
    >>> MultiTask().mixed("a", tasks=["a", "b"], texts=["web"], groups={})
    ('a', 'b', 'web')
    """

    has_second: ClassVar[bool] = False

    def mixed(
        self, target: str, *, tasks: Sequence[str], texts: Sequence[str], groups: Mapping[str, str]
    ) -> tuple[str, ...]:
        return (*tasks, *texts)
