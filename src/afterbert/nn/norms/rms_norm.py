"""Division by the root mean square, no mean taken off, no bias. Source: Zhang, Sennrich (1910.07467); T5's code."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

from afterbert.nn.norms import Norm


@dataclass(frozen=True)
class RMSNorm(Norm):
    eps: Annotated[float, Field(gt=0)] = 1e-6

    def build(self, size: int) -> nn.Module:
        return nn.RMSNorm(size, eps=self.eps)

    def num_parameters(self, size: int) -> int:
        return size
