"""All layers share their attention. Source: ALBERT (1909.11942), Section 4.5 and Table 4."""

from dataclasses import dataclass

from afterbert.nn.sharing import Sharing, SharingPlan


@dataclass(frozen=True)
class ShareAttention(Sharing):
    """
    >>> ShareAttention().plan(3)
    SharingPlan(attention=(0, 0, 0), feed_forward=(0, 1, 2), own=0)
    """

    def plan(self, num_hidden_layers: int) -> SharingPlan:
        return SharingPlan((0,) * num_hidden_layers, tuple(range(num_hidden_layers)))
