"""Division by the root mean square, no mean taken off, no bias. Source: Zhang, Sennrich (1910.07467); T5's code."""

from dataclasses import dataclass

from torch import nn

from afterbert.base.numbers import Positive
from afterbert.nn.norms import Norm


@dataclass(frozen=True)
class RMSNorm(Norm):
    """Normalization by the root mean square alone."""

    eps: Positive = 1e-6

    def build(self, size: int) -> nn.Module:
        return nn.RMSNorm(size, eps=self.eps)
