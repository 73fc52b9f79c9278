"""All tasks and running text together, then fine-tuned on each task. Source: T5 (1910.10683), Section 3.5.3."""

from dataclasses import dataclass
from typing import ClassVar

from afterbert.downstream.strategies import Share, Sources, Strategy


@dataclass(frozen=True)
class MultiTaskFinetune(Strategy):
    """
    >>> MultiTaskFinetune().mixed("a", Sources(["a", "b"], ["web"]))
    ('a', 'b', 'web')
    """

    needs_texts: ClassVar[bool] = True
    share: Share = 2 / 3

    def mixed(self, target: str, among: Sources) -> tuple[str, ...]:
        return (*among.tasks, *among.texts)
