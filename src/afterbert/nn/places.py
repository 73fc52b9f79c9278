"""The rows of hidden states at chosen places."""

from __future__ import annotations

from torch import Tensor


def at_places(hidden: Tensor, places: Tensor | None) -> Tensor:
    """Rows [N, D] of hidden [B, T, D] at flat places [N]; hidden itself for None.

    >>> import torch
    >>> at_places(torch.arange(6).view(2, 3, 1), torch.tensor([4, 0])).tolist()
    [[4], [0]]
    """
    return hidden if places is None else hidden.flatten(0, 1).index_select(0, places)
