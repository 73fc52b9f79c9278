"""The layer's transition: what happens to each piece between two attentions."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn


class FeedForward(ABC):
    """A feed-forward part as a frozen config. Its module has a last linear layer called `output`, and says in
    `hidden_matrices` which linear layers it has: name -> how many matrices each packs one above the other."""

    looks_beside: ClassVar[bool] = False
    """Whether a piece's neighbours count: its module takes [B, T, D] then, and what may be seen besides."""

    @abstractmethod
    def build(self, hidden_size: int, intermediate_size: int) -> nn.Module:
        """Returns a module from [..., D] to [..., D]."""

    @abstractmethod
    def num_weights(self, hidden_size: int, intermediate_size: int) -> int:
        """Entries of its matrices; twice that are its floating-point operations for a piece."""
