"""All tasks and running text together, and nothing after it. Source: T5 (1910.10683), Section 3.5.2."""

from dataclasses import dataclass
from typing import ClassVar

from afterbert.downstream.strategies import Sources, Strategy


@dataclass(frozen=True)
class MultiTask(Strategy):
    """
    >>> MultiTask().mixed("a", Sources(["a", "b"], ["web"]))
    ('a', 'b', 'web')
    """

    has_second: ClassVar[bool] = False

    def mixed(self, target: str, among: Sources) -> tuple[str, ...]:
        return (*among.tasks, *among.texts)
