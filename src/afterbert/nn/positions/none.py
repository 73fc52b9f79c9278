"""Attention that knows no positions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from afterbert.nn.positions import Positions


@dataclass(frozen=True)
class NoPositions(Positions):
    def build_shared(self, num_attention_heads: int, head_size: int) -> nn.Module:
        return _Nothing()

    def build_layer(self, num_attention_heads: int, head_size: int) -> nn.Module:
        return _Unchanged()


class _Nothing(nn.Module):
    def forward(self, query_positions: Tensor, key_positions: Tensor) -> None:
        return None


class _Unchanged(nn.Module):
    def forward(self, query: Tensor, key: Tensor, shared: None) -> tuple[Tensor, Tensor, None]:
        return query, key, None
