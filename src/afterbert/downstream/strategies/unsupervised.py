"""Running text alone, then fine-tuned: the usual way. Source: T5 (1910.10683), Section 3.5.3, first row of Table 12."""

from dataclasses import dataclass
from typing import ClassVar

from afterbert.downstream.strategies import Share, Sources, Strategy


@dataclass(frozen=True)
class Unsupervised(Strategy):
    """
    >>> Unsupervised().mixed("a", Sources(["a", "b"], ["web"]))
    ('web',)
    """

    needs_texts: ClassVar[bool] = True
    share: Share = 2 / 3

    def mixed(self, target: str, among: Sources) -> tuple[str, ...]:
        return tuple(among.texts)
