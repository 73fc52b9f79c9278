"""All layers are one layer, applied again and again. Source: ALBERT (1909.11942), Section 3.1."""

from dataclasses import dataclass

from afterbert.nn.sharing import Sharing, SharingPlan


@dataclass(frozen=True)
class ShareAll(Sharing):
    """
    >>> ShareAll().plan(3)
    SharingPlan(attention=(0, 0, 0), feed_forward=(0, 0, 0), own=0)
    """

    def plan(self, num_hidden_layers: int) -> SharingPlan:
        return SharingPlan((0,) * num_hidden_layers, (0,) * num_hidden_layers)
