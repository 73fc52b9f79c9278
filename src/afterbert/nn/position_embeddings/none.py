"""No positions at the embeddings: attention knows them, or nobody does."""

from dataclasses import dataclass

from torch import Tensor, nn

from afterbert.nn.position_embeddings import PositionEmbedding


@dataclass(frozen=True)
class NoPositionEmbedding(PositionEmbedding):
    """No vectors for positions."""

    def build(self, max_position_embeddings: int, size: int) -> nn.Module:
        return _Nothing()


class _Nothing(nn.Module):
    def forward(self, position_ids: Tensor) -> None:
        return None
