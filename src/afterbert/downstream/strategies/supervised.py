"""All tasks together without running text, then fine-tuned on each task. Source: T5 (1910.10683), Section 3.5.3,
"supervised multi-task pre-training"; MT-DNN (1901.11504), Section 3.2, does the same from BERT."""

from dataclasses import dataclass

from afterbert.downstream.strategies import Share, Sources, Strategy


@dataclass(frozen=True)
class Supervised(Strategy):
    """
    >>> Supervised().mixed("a", Sources(["a", "b"], ["web"]))
    ('a', 'b')
    """

    share: Share = 2 / 3

    def mixed(self, target: str, among: Sources) -> tuple[str, ...]:
        return tuple(among.tasks)
