"""Fresh weights."""

from abc import ABC, abstractmethod

from torch import nn


class Initialization(ABC):
    """A rule as a frozen config."""

    @abstractmethod
    def apply(self, module: nn.Module, num_hidden_layers: int) -> None:
        """Draws all matrices and tables of `module` anew from torch's generator, in the order in which they
        are named. Biases start at 0 and norms at 1, as they are built."""
