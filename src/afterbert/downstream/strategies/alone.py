"""Each task for itself from the model as it is: the control, which sees nothing before. Source: MT-DNN (1901.11504),
Section 4.4, ST-DNN."""

from dataclasses import dataclass

from afterbert.downstream.strategies import Sources, Strategy


@dataclass(frozen=True)
class Alone(Strategy):
    """
    >>> Alone().mixed("a", Sources(["a", "b"], ["web"]))
    ()
    """

    def mixed(self, target: str, among: Sources) -> tuple[str, ...]:
        return ()
