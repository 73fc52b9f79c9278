"""Layer normalisation, with or without a bias. Source: Ba, Kiros, Hinton (1607.06450)."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

from afterbert.nn.norms import Norm


@dataclass(frozen=True)
class LayerNorm(Norm):
    """
    >>> LayerNorm(bias=False).num_parameters(8)
    8
    """

    eps: Annotated[float, Field(gt=0)] = 1e-12
    bias: bool = True

    def build(self, size: int) -> nn.Module:
        return nn.LayerNorm(size, eps=self.eps, bias=self.bias)

    def num_parameters(self, size: int) -> int:
        return size * (1 + self.bias)
