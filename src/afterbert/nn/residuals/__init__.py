"""How a part of a layer, its norm and the residual stream are joined."""

from abc import ABC, abstractmethod

from torch import nn

from afterbert.nn.norms import Norm
from afterbert.nn.norms.identity import Identity


class Residual(ABC):
    """An arrangement as a frozen config. It also says which norms a stack has at its two ends."""

    @abstractmethod
    def build(self, inner: nn.Module, norm: nn.Module, dropout_rate: float) -> nn.Module:
        """Returns a module called with (hidden [..., D], *whatever else `inner` takes). With the keyword `wanted`, flat
        places [N] of hidden [B, T, D], it and its `inner` return only the states at those places."""

    def first_norm(self, norm: Norm) -> Norm:
        """Returns the norm of the very first part of a stack."""
        return norm

    def final_norm(self, norm: Norm) -> Norm:
        """Returns the norm after the last layer."""
        return Identity()
