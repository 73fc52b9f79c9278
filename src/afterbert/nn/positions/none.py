"""Attention that knows no positions."""

from dataclasses import dataclass

from torch import Tensor, nn

from afterbert.nn.positions import Positions
from afterbert.nn.sizes import Sizes


@dataclass(frozen=True)
class NoPositions(Positions):
    """Attention without positions."""

    def build_shared(self, sizes: Sizes, head_size: int, *, is_causal: bool) -> nn.Module:
        return _Nothing()

    def build_layer(self, sizes: Sizes, head_size: int, scale: float) -> nn.Module:
        return _Unchanged()


class _Nothing(nn.Module):
    def forward(self, query_positions: Tensor, key_positions: Tensor) -> None:
        return None


class _Unchanged(nn.Module):
    def forward(self, query: Tensor, key: Tensor, shared: None) -> tuple[Tensor, Tensor, None]:
        return query, key, None
