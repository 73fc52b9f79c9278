"""Rotary positions: each pair of coordinates of query and key is turned by an angle that grows with the position.

Source: Su et al. (2104.09864), Section 3.2. Pairs are (i, i + K/2), the "half-split" order of GPT-NeoX, LLaMA and
ModernBERT; the paper pairs neighbours, which differs by a fixed reordering of the weights' rows.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.nn.positions import Positions
from afterbert.nn.sizes import Sizes

Turn = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Rotary(Positions):
    """theta: the base of the wave lengths (10,000 in the paper; ModernBERT: 160,000 in global layers)."""

    theta: Annotated[float, Field(gt=1)] = 10_000.0

    def build_shared(self, sizes: Sizes, head_size: int, *, is_causal: bool) -> nn.Module:
        if head_size % 2:
            raise UserError(
                f"rotary positions need an even head width, found {head_size}; change hidden_size or the heads"
            )
        return _Angles(self.theta, head_size)

    def build_layer(self, sizes: Sizes, head_size: int, scale: float) -> nn.Module:
        return _Turn()


class _Angles(nn.Module):
    def __init__(self, theta: float, head_size: int):
        super().__init__()
        self.theta, self.head_size = theta, head_size

    def forward(self, query_positions: Tensor, key_positions: Tensor) -> tuple[Turn, Turn]:
        """(cos, sin), each float32 [B or 1, 1, T, K/2], for queries and for keys."""
        query_turn = self._turn(query_positions)
        return query_turn, query_turn if key_positions is query_positions else self._turn(key_positions)

    def _turn(self, positions: Tensor) -> Turn:
        exponents = torch.arange(0, self.head_size, 2, device=positions.device, dtype=torch.float32) / self.head_size
        # float32 whatever the model's type: half precision cannot tell neighbouring positions beyond a few
        # hundred
        angles = positions[:, None, :, None].float() * (1.0 / self.theta**exponents)
        return angles.cos(), angles.sin()


class _Turn(nn.Module):
    def forward(self, query: Tensor, key: Tensor, shared: tuple[Turn, Turn]) -> tuple[Tensor, Tensor, None]:
        query_turn, key_turn = shared
        return turned(query, query_turn), turned(key, key_turn), None


def turned(vectors: Tensor, turn: Turn) -> Tensor:
    """`vectors` [B, H, T, K] turned by (cos, sin), in their own type."""
    (left, right), (cos, sin) = vectors.chunk(2, dim=-1), turn
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1).to(vectors.dtype)
