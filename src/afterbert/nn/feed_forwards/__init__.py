"""The layer's transition: what happens to each piece on its own."""

from abc import ABC, abstractmethod

from torch import nn


class FeedForward(ABC):
    """A feed-forward part as a frozen config. Its module has a last linear layer called `output`, and says in
    `hidden_matrices` which linear layers it has: name -> how many matrices each packs one above the other."""

    @abstractmethod
    def build(self, hidden_size: int, intermediate_size: int) -> nn.Module:
        """A module from [..., D] to [..., D]."""

    @abstractmethod
    def num_weights(self, hidden_size: int, intermediate_size: int) -> int:
        """Entries of its matrices; twice that are its floating-point operations for a piece."""

    @abstractmethod
    def num_parameters(self, hidden_size: int, intermediate_size: int) -> int:
        """Matrices and biases."""
