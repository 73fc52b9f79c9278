"""All tasks together without running text, then fine-tuned on each task. Source: T5 (1910.10683), Section 3.5.3,
"supervised multi-task pre-training"; MT-DNN (1901.11504), Section 3.2, does the same from BERT."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afterbert.downstream.strategies import Share, Strategy


@dataclass(frozen=True)
class Supervised(Strategy):
    """
    >>> Supervised().mixed("a", tasks=["a", "b"], texts=["web"], groups={})
    ('a', 'b')
    """

    share: Share = 2 / 3

    def mixed(
        self, target: str, *, tasks: Sequence[str], texts: Sequence[str], groups: Mapping[str, str]
    ) -> tuple[str, ...]:
        return tuple(tasks)
