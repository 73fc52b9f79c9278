"""Running text alone, then fine-tuned: the usual way. Source: T5 (1910.10683), Section 3.5.3, first row of Table 12."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from afterbert.downstream.strategies import Share, Strategy


@dataclass(frozen=True)
class Unsupervised(Strategy):
    """
    >>> Unsupervised().mixed("a", tasks=["a", "b"], texts=["web"], groups={})
    ('web',)
    """

    needs_texts: ClassVar[bool] = True
    share: Share = 2 / 3

    def mixed(
        self, target: str, *, tasks: Sequence[str], texts: Sequence[str], groups: Mapping[str, str]
    ) -> tuple[str, ...]:
        return tuple(texts)
