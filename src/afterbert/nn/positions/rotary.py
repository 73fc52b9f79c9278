"""Rotary positions: each pair of coordinates of query and key is turned by an angle that grows with the position.

Source: Su et al. (2104.09864), Section 3.2. Pairs are (i, i + K/2), the "half-split" order of GPT-NeoX, LLaMA and
ModernBERT; the paper pairs neighbours, which differs by a fixed reordering of the weights' rows.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from afterbert.base.errors import UserError
from afterbert.nn.positions import Positions
from afterbert.nn.sizes import Sizes

Turn = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Rotary(Positions):
    """Rotates queries and keys by their positions."""

    theta: Annotated[float, Field(gt=1)] = 10_000.0
    """The base of the wave lengths (10,000 in the paper; ModernBERT: 160,000 in global layers)."""

    def build_shared(self, sizes: Sizes, head_size: int, *, is_causal: bool) -> nn.Module:
        if head_size % 2:
            raise UserError(
                f"rotary positions need an even head width, found {head_size}; change hidden_size or the heads"
            )
        return _Angles(self.theta, head_size)

    def build_layer(self, sizes: Sizes, head_size: int, scale: float) -> nn.Module:
        return _Turn(self.theta, head_size)


class _Angles(nn.Module):
    def __init__(self, theta: float, head_size: int):
        super().__init__()
        self.theta, self.head_size = theta, head_size

    def forward(self, query_positions: Tensor, key_positions: Tensor) -> tuple[Turn, Turn]:
        """(cos, sin), each float32 [B or 1, 1, T, K/2], for queries and for keys."""
        query_turn = self._turn(query_positions)
        return query_turn, query_turn if key_positions is query_positions else self._turn(key_positions)

    def _turn(self, positions: Tensor) -> Turn:
        # float32 whatever the model's type: half precision cannot tell neighbouring positions beyond a few
        # hundred
        angles = positions[:, None, :, None].float() * _speeds(self.theta, self.head_size, positions.device)
        return angles.cos(), angles.sin()


def _speeds(theta: float, head_size: int, device: torch.device) -> Tensor:
    """By how much each pair of coordinates turns from one position to the next, [K/2]."""
    exponents = torch.arange(0, head_size, 2, device=device, dtype=torch.float32) / head_size
    return 1.0 / theta**exponents


class _Turn(nn.Module):
    def __init__(self, theta: float, head_size: int):
        super().__init__()
        self.theta, self.head_size = theta, head_size

    def looking(self, offset: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """A query and a key [K], of the type and device of `like`, whose product after turning is largest, 8, where the
        key stands `offset` places after the query. The eight pairs that turn fastest tell near places apart best."""
        pairs = min(8, self.head_size // 2)
        query, key = like.new_zeros(2, 2, self.head_size // 2)
        angles = -offset * _speeds(self.theta, self.head_size, like.device)[:pairs]
        query[0, :pairs] = 1
        key[0, :pairs], key[1, :pairs] = angles.cos(), angles.sin()
        return query.flatten(), key.flatten()

    def forward(self, query: Tensor, key: Tensor, shared: tuple[Turn, Turn]) -> tuple[Tensor, Tensor, None]:
        query_turn, key_turn = shared
        return turned(query, query_turn), turned(key, key_turn), None


def turned(vectors: Tensor, turn: Turn) -> Tensor:
    """Returns `vectors` [B, H, T, K] rotated by (cos, sin), in their own type."""
    cos, sin = turn
    if vectors.requires_grad and vectors.dtype == cos.dtype and not torch.compiler.is_compiling():
        rotated: Tensor = _Rotation.apply(vectors, cos, sin)
        return rotated
    left, right = vectors.chunk(2, dim=-1)
    return torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1).to(vectors.dtype)


class _Rotation(torch.autograd.Function):
    """The same, where gradients are asked for: they are the incoming ones turned back. Each half is written once into
    its place; joined halves and torch's own derivatives take three times as long on a CPU."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(vectors, cos, sin)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(gradient, cos, -sin), None, None


def _rotated(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    found = torch.empty_like(vectors, memory_format=torch.contiguous_format)
    (left, right), (to_left, to_right) = vectors.chunk(2, dim=-1), found.chunk(2, dim=-1)
    torch.mul(left, cos, out=to_left).addcmul_(right, sin, value=-1)
    torch.mul(right, cos, out=to_right).addcmul_(left, sin)
    return found
