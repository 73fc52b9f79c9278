"""Scores from content and from distance apart: `(q + u) k + (q + v) W r(distance)`, which lets keys stand in
a memory of earlier segments.

Source: Transformer-XL (1901.02860), Section 3.3; XLNet (1906.08237), Section 2.4. r is the sinusoid of the
distance, u and v are learned for each head.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.numbers import Count
from afterbert.nn.position_embeddings.sinusoid import sinusoids
from afterbert.nn.positions import Positions
from afterbert.nn.sizes import Sizes

Distances = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class TransformerXL(Positions):
    """Transformer-XL's relative positions."""

    clamp_length: Count | None = None
    """Distances beyond it count as it; None: all are told apart. A row read backwards has falling positions."""

    def build_shared(self, sizes: Sizes, head_size: int, *, is_causal: bool) -> nn.Module:
        if sizes.hidden_size % 2:
            raise UserError(f"transformer_xl positions need an even hidden_size, found {sizes.hidden_size}")
        return _Sinusoids(self.clamp_length, sizes.hidden_size)

    def build_layer(self, sizes: Sizes, head_size: int, scale: float) -> nn.Module:
        return _DistanceScores(sizes, head_size, scale)

    def flops_per_token(self, sizes: Sizes, head_size: int, length: int) -> float:
        return 4.0 * length * sizes.num_attention_heads * head_size


class _Sinusoids(nn.Module):
    """From positions to the sinusoids [P, D] of all distances that can occur, and which of them each pair has
    [B or 1, U, T]."""

    def __init__(self, clamp_length: int | None, hidden_size: int):
        super().__init__()
        self.clamp_length, self.hidden_size = clamp_length, hidden_size

    def forward(self, query_positions: Tensor, key_positions: Tensor) -> Distances:
        # among T consecutive positions, memory included, no two are farther apart
        reach = min(self.clamp_length or key_positions.shape[1], max(key_positions.shape[1] - 1, 1))
        behind = query_positions[:, :, None] - key_positions[:, None, :]
        table = sinusoids(torch.arange(-reach, reach + 1, device=behind.device), self.hidden_size)
        return table, behind.clamp(-reach, reach) + reach


class _DistanceScores(nn.Module):
    def __init__(self, sizes: Sizes, head_size: int, scale: float):
        super().__init__()
        self.hidden_matrices = {"relative": 1}
        self.shape, self.scale = (sizes.num_attention_heads, head_size), scale
        self.relative = nn.Linear(sizes.hidden_size, sizes.num_attention_heads * head_size, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(self.shape))
        self.distance_bias = nn.Parameter(torch.zeros(self.shape))

    def forward(self, query: Tensor, key: Tensor, shared: Distances) -> tuple[Tensor, Tensor, Tensor]:
        table, which = shared
        rows = self.relative(table.to(self.relative.weight.dtype)).view(-1, *self.shape).permute(1, 2, 0)
        by_distance = (query + self.distance_bias[:, None] * self.scale) @ rows
        which = which[:, None].expand(query.shape[0], query.shape[1], -1, -1)
        return query + self.content_bias[:, None] * self.scale, key, by_distance.gather(-1, which)
