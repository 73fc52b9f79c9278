"""Dropout that costs nothing where its rate is zero, and little on a processor.

PyTorch draws a Bernoulli number for each element there, which took a tenth of a fine-tuning step. Here the mask is read
from plain random bits, 16 for each element.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 1 << 16
_LOWEST = -(1 << 63)


def dropout(rate: float) -> nn.Module:
    """Returns a module that drops elements with probability `rate`.

    >>> dropout(0.0), dropout(0.1)
    (Identity(), Dropout(rate=0.1))
    """
    return Dropout(rate) if rate else nn.Identity()


class Dropout(nn.Module):
    """`dropped` while training, nothing else."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, hidden: Tensor) -> Tensor:
        return dropped(hidden, self.rate) if self.training else hidden

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


def dropped(hidden: Tensor, rate: float) -> Tensor:
    """Returns [...] in which each element is zero with probability `rate`, and the others are scaled so that the mean
    stays (Srivastava et al. 2014). The noise comes from PyTorch's own generator.

    On a processor the rate is that of the nearest 65,536th, and the scale belongs to it.
    """
    level = round(rate * _LEVELS)
    if not hidden.is_cpu or torch.compiler.is_compiling() or not 0 < level < _LEVELS:
        return F.dropout(hidden, rate)
    words = torch.empty(-(-hidden.numel() // 4), dtype=torch.int64).random_(_LOWEST, None)
    bits = words.view(torch.int16)[: hidden.numel()].view(hidden.shape)
    kept = torch.empty(hidden.shape, dtype=hidden.dtype)
    # numbers at once: a mask of bools is slow to multiply with
    torch.ge(bits, level - _LEVELS // 2, out=kept)
    return hidden * kept.mul_(_LEVELS / (_LEVELS - level))
