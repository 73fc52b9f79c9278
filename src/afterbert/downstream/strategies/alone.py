"""Each task for itself from the model as it is: the control, which sees nothing before. Source: MT-DNN (1901.11504),
Section 4.4, ST-DNN."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afterbert.downstream.strategies import Strategy


@dataclass(frozen=True)
class Alone(Strategy):
    """
    >>> Alone().mixed("a", tasks=["a", "b"], texts=["web"], groups={})
    ()
    """

    def mixed(
        self, target: str, *, tasks: Sequence[str], texts: Sequence[str], groups: Mapping[str, str]
    ) -> tuple[str, ...]:
        return ()
