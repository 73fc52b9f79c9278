"""Chosen places of a padded batch: the rows of hidden states there, and the same places row by row."""

from dataclasses import dataclass

import torch
from torch import Tensor


def at_places(hidden: Tensor, places: Tensor | None) -> Tensor:
    """Returns rows [N, D] of hidden [B, T, D] at flat places [N]; for None hidden itself.

    >>> at_places(torch.arange(6).view(2, 3, 1), torch.tensor([4, 0])).tolist()
    [[4], [0]]
    """
    return hidden if places is None else hidden.flatten(0, 1).index_select(0, places)


@dataclass(frozen=True)
class RowPlaces:
    """The places of each row side by side, filled up with place 0.

    positions: [B, Q], within the rows; slots: [N], where in the flat rectangle each place stands.
    """

    positions: Tensor
    slots: Tensor

    def of(self, hidden: Tensor) -> Tensor:
        """Returns the states [B, Q, D] of hidden [B, T, D] at these places."""
        return hidden.gather(1, self.positions[:, :, None].expand(-1, -1, hidden.shape[2]))


def by_row(places: Tensor, num_rows: int, length: int) -> RowPlaces | None:
    """Returns flat places [N] row by row. It is None if some row has more than half of its places among them, so that
    little is left out; and on a GPU, where looking at the numbers means waiting for the device.

    >>> found = by_row(torch.tensor([9, 0, 2]), num_rows=2, length=8)
    >>> found.positions.tolist(), found.slots.tolist()
    ([[0, 2], [1, 0]], [2, 0, 1])
    """
    if places.device.type != "cpu" or torch.compiler.is_compiling() or not len(places):
        return None
    row = places.div(length, rounding_mode="floor")
    counts = torch.bincount(row, minlength=num_rows)
    most = int(counts.max())
    if 2 * most > length:
        return None
    order = torch.argsort(row, stable=True)
    sorted_row = row[order]
    rank = torch.arange(len(row)) - (counts.cumsum(0) - counts)[sorted_row]
    slots = torch.empty_like(places).index_copy_(0, order, sorted_row * most + rank)
    positions = places.new_zeros(num_rows * most).index_copy_(0, slots, places % length)
    return RowPlaces(positions.view(num_rows, most), slots)
