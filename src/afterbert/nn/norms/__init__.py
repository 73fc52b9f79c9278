"""Normalisation of hidden states over their width."""

from abc import ABC, abstractmethod

from torch import nn


class Norm(ABC):
    """A norm as a frozen config; one config serves every norm of a model."""

    @abstractmethod
    def build(self, size: int) -> nn.Module:
        """Returns a module from [..., size] to [..., size]."""
