"""All layers share their feed-forward part. Source: ALBERT (1909.11942), Section 4.5 and Table 4."""

from dataclasses import dataclass

from afterbert.nn.sharing import Sharing, SharingPlan


@dataclass(frozen=True)
class ShareFeedForward(Sharing):
    """
    >>> ShareFeedForward().plan(3)
    SharingPlan(attention=(0, 1, 2), feed_forward=(0, 0, 0), own=0)
    """

    def plan(self, num_hidden_layers: int) -> SharingPlan:
        return SharingPlan(tuple(range(num_hidden_layers)), (0,) * num_hidden_layers)
