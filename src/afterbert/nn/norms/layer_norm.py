"""Layer normalisation, with or without a bias. Source: Ba, Kiros, Hinton (1607.06450)."""

from dataclasses import dataclass

from torch import nn

from afterbert.base.numbers import Positive
from afterbert.nn.norms import Norm


@dataclass(frozen=True)
class LayerNorm(Norm):
    """Layer normalization with mean and variance."""

    eps: Positive = 1e-12
    bias: bool = True

    def build(self, size: int) -> nn.Module:
        return nn.LayerNorm(size, eps=self.eps, bias=self.bias)
