"""How a part of a layer, its norm and the residual stream are joined."""

from abc import ABC, abstractmethod

from torch import nn

from afterbert.nn.norms import Norm
from afterbert.nn.norms.identity import Identity


class Residual(ABC):
    """An arrangement as a frozen config. It also says which norms a stack has at its two ends."""

    @abstractmethod
    def build(self, inner: nn.Module, norm: nn.Module, dropout_rate: float) -> nn.Module:
        """A module called with (hidden [..., D], *whatever `inner` takes besides). With the keyword `wanted`,
        flat places [N] of hidden [B, T, D], it is around an `inner` that returns those only, and so does it."""

    def first_norm(self, norm: Norm) -> Norm:
        """The norm of the very first part of a stack."""
        return norm

    def final_norm(self, norm: Norm) -> Norm:
        """The norm after the last layer."""
        return Identity()
