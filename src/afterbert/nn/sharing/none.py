"""Every layer has its own weights."""

from dataclasses import dataclass

from afterbert.nn.sharing import Sharing, SharingPlan


@dataclass(frozen=True)
class NoSharing(Sharing):
    """
    >>> NoSharing().plan(2)
    SharingPlan(attention=(0, 1), feed_forward=(0, 1), own=0)
    """

    def plan(self, num_hidden_layers: int) -> SharingPlan:
        each = tuple(range(num_hidden_layers))
        return SharingPlan(each, each)
