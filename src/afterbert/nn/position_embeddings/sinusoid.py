"""Sines and cosines of many wave lengths. Source: Vaswani et al. (1706.03762), Section 3.5.

Sines fill the first half of the vector and cosines the second, as in tensor2tensor; the paper interleaves
them, which differs by a fixed reordering.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.nn.position_embeddings import PositionEmbedding


@dataclass(frozen=True)
class Sinusoid(PositionEmbedding):
    """Fixed vectors of sines and cosines."""

    theta: Annotated[float, Field(gt=1)] = 10_000.0

    def build(self, max_position_embeddings: int, size: int) -> nn.Module:
        if size % 2:
            raise UserError(f"sinusoid positions need an even width, found {size}; change hidden_size")
        return _Sinusoid(self.theta, size)


class _Sinusoid(nn.Module):
    def __init__(self, theta: float, size: int):
        super().__init__()
        self.theta, self.size = theta, size

    def forward(self, position_ids: Tensor) -> Tensor:
        return sinusoids(position_ids, self.size, self.theta)


def sinusoids(positions: Tensor, size: int, theta: float = 10_000.0) -> Tensor:
    """Returns vectors, float32 [..., size], of positions [...]: sin(p / theta**(2i / size)) for i < size / 2, then the
    cosines.

    >>> sinusoids(torch.tensor([0, 1]), 4).round(decimals=2).tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.8399999737739563, 0.009999999776482582, 0.5400000214576721, 1.0]]
    """
    exponents = torch.arange(0, size, 2, device=positions.device, dtype=torch.float32) / size
    angles = positions[..., None].float() / theta**exponents
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
