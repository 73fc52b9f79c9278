"""Neighbouring layers in groups of M are one layer each. Source: ALBERT (1909.11942), Section 4.5; the
release's `num_hidden_groups` is L / M."""

from dataclasses import dataclass

from afterbert.base.errors import UserError
from afterbert.base.numbers import Count
from afterbert.nn.sharing import Sharing, SharingPlan


@dataclass(frozen=True)
class ShareGroups(Sharing):
    """
    >>> ShareGroups(layers_per_group=2).plan(4)
    SharingPlan(attention=(0, 0, 1, 1), feed_forward=(0, 0, 1, 1), own=0)
    """

    layers_per_group: Count = 2

    def plan(self, num_hidden_layers: int) -> SharingPlan:
        if num_hidden_layers % self.layers_per_group:
            raise UserError(
                f"{num_hidden_layers} layers do not divide into groups of {self.layers_per_group}; choose a multiple"
            )
        groups = tuple(layer // self.layers_per_group for layer in range(num_hidden_layers))
        return SharingPlan(groups, groups)
