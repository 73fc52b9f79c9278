"""Positions that are added to the token embeddings."""

from abc import ABC, abstractmethod

from torch import nn


class PositionEmbedding(ABC):
    """A frozen config of absolute positions."""

    @abstractmethod
    def build(self, max_position_embeddings: int, size: int) -> nn.Module:
        """Returns a module from positions [B or 1, T] to vectors [B or 1, T, size] that are added, or to None."""
