"""Two convolutions around an activation, each first along the row, every channel by itself, then across channels.

Source: Universal Transformer (1807.03819), Section 2.1: "either a separable convolution or a fully-connected neural
network"; widths 3 and 5, ReLU and zeros beyond the ends are the release's (tensor2tensor, `sepconv_relu_sepconv`).
Deviation: a piece takes from its neighbours only what its attention may see, so that no document, padding or question
shows through; the release knows padding alone.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.nn.activations import ACTIVATIONS, Activation
from afterbert.nn.dropout import dropout
from afterbert.nn.feed_forwards import FeedForward
from afterbert.nn.visibility import Visible


@dataclass(frozen=True)
class SeparableConvolution(FeedForward):
    """Two separable convolutions along the row, with an activation between.

    >>> SeparableConvolution(widths=(2, 5))
    Traceback (most recent call last):
    afterbert.base.errors.UserError: widths are (2, 5); both must be odd
    """

    widths: tuple[Annotated[int, Field(gt=0, lt=100)], Annotated[int, Field(gt=0, lt=100)]] = (3, 5)
    """How many places the two convolutions span; odd, so that the piece stands in the middle."""
    activation: Activation = "relu"
    bias: bool = True
    inner_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    looks_beside = True

    def __post_init__(self) -> None:
        if not all(width % 2 for width in self.widths):
            raise UserError(f"widths are {self.widths}; both must be odd")

    def build(self, hidden_size: int, intermediate_size: int) -> nn.Module:
        return _SeparableConvolution(self, hidden_size, intermediate_size)

    def num_weights(self, hidden_size: int, intermediate_size: int) -> int:
        first, second = self.widths
        return 2 * hidden_size * intermediate_size + first * hidden_size + second * intermediate_size


class _SeparableConvolution(nn.Module):
    def __init__(self, config: SeparableConvolution, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.hidden_matrices = {"input": 1, "output": 1}
        first, second = config.widths
        self.before_input = _AlongRow(first, hidden_size)
        self.input = nn.Linear(hidden_size, intermediate_size, bias=config.bias)
        self.before_output = _AlongRow(second, intermediate_size)
        self.output = nn.Linear(intermediate_size, hidden_size, bias=config.bias)
        self.activate = ACTIVATIONS[config.activation]
        self.dropout = dropout(config.inner_dropout)

    def forward(self, hidden: Tensor, visible: Visible) -> Tensor:
        inner = self.dropout(self.activate(self.input(self.before_input(hidden, visible))))
        return self.output(self.before_output(inner, visible))


class _AlongRow(nn.Module):
    """Each channel of [B, T, C] is a sum over its neighbours in the row."""

    def __init__(self, width: int, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, channels).uniform_(-(width**-0.5), width**-0.5))

    def forward(self, hidden: Tensor, visible: Visible) -> Tensor:
        may_attend, length = visible.as_booleans(), hidden.shape[1]
        summed = torch.zeros_like(hidden)
        for place, weight in enumerate(self.weight):
            offset = place - len(self.weight) // 2
            if abs(offset) >= length:
                continue
            taken = hidden[:, max(0, offset) : length + min(0, offset)] * weight
            if may_attend is not None:
                square = may_attend[(None,) * (4 - may_attend.dim())].expand(-1, -1, length, length)
                taken = taken * square.diagonal(offset, -2, -1)[:, 0, :, None]
            summed[:, max(0, -offset) : length - max(0, offset)] += taken
        return summed
