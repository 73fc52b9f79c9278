"""All layers share their attention. Source: ALBERT (1909.11942), Section 4.5 and Table 4."""

from __future__ import annotations

from dataclasses import dataclass

from afterbert.nn.sharing import Plan, Sharing


@dataclass(frozen=True)
class ShareAttention(Sharing):
    """
    >>> ShareAttention().plan(3)
    Plan(attention=(0, 0, 0), feed_forward=(0, 1, 2))
    """

    def plan(self, num_hidden_layers: int) -> Plan:
        return Plan((0,) * num_hidden_layers, tuple(range(num_hidden_layers)))
