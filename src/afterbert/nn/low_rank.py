"""Layers and tables as the product of two thin ones, in place of one that is full.

Source: truncated singular value decomposition; a table factorized so is ALBERT's V x E times E x H (1909.11942,
Section 3.1), but without a norm between, so that a trained table can be brought into this form.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class LowRankLinear(nn.Module):
    """From [..., in_features] to [..., out_features] through `rank` numbers. Called like a linear layer, and asked for
    `weight` and `bias` like one; its weight [out, in] is then multiplied out."""

    def __init__(self, in_features: int, out_features: int, *, rank: int, bias: bool):
        super().__init__()
        self.down = nn.Linear(in_features, rank, bias=False)
        self.up = nn.Linear(rank, out_features, bias=bias)

    @property
    def weight(self) -> Tensor:
        """The full matrix [out, in]."""
        return self.up.weight @ self.down.weight

    @property
    def bias(self) -> Tensor | None:
        """The bias [out], where it has one."""
        return self.up.bias

    def forward(self, hidden: Tensor) -> Tensor:
        return self.up(self.down(hidden))


class LowRankTable(nn.Module):
    """A table of vectors [V, D], each a row of a narrow table [V, rank] times one matrix."""

    def __init__(self, vocab_size: int, width: int, *, rank: int):
        super().__init__()
        self.narrow = nn.Embedding(vocab_size, rank)
        self.widen = nn.Linear(rank, width, bias=False)

    @property
    def weight(self) -> Tensor:
        """The full table [V, D]."""
        return self.narrow.weight @ self.widen.weight.T

    def forward(self, piece_ids: Tensor) -> Tensor:
        return self.widen(self.narrow(piece_ids))


def project(layer: nn.Module, hidden: Tensor, rows: slice) -> Tensor:
    """Returns the outputs `rows` of a full or thin linear layer: [..., out] of hidden [..., in]."""
    if isinstance(layer, LowRankLinear):
        return project(layer.up, layer.down(hidden), rows)
    assert isinstance(layer, nn.Linear)
    return F.linear(hidden, layer.weight[rows], None if layer.bias is None else layer.bias[rows])
