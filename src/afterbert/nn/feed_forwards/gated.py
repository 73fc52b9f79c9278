"""A gated linear unit: `output(act(a) * g)`, with `a` and `g` the halves of one input layer.

Source: Shazeer (2002.05202); the packing [a | g] is ModernBERT's (2412.13663).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from afterbert.base.numbers import DropoutRate
from afterbert.nn.activations import ACTIVATIONS, Activation
from afterbert.nn.dropout import dropout
from afterbert.nn.feed_forwards import FeedForward


@dataclass(frozen=True)
class Gated(FeedForward):
    """intermediate_size counts one half, as Hugging Face does."""

    activation: Activation = "gelu"
    bias: bool = False
    inner_dropout: DropoutRate = 0.0

    def build(self, hidden_size: int, intermediate_size: int) -> nn.Module:
        return _Gated(self, hidden_size, intermediate_size)

    def num_weights(self, hidden_size: int, intermediate_size: int) -> int:
        return 3 * hidden_size * intermediate_size


class _Gated(nn.Module):
    def __init__(self, config: Gated, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.hidden_matrices = {"input": 2, "output": 1}
        self.input = nn.Linear(hidden_size, 2 * intermediate_size, bias=config.bias)
        self.output = nn.Linear(intermediate_size, hidden_size, bias=config.bias)
        self.activate = ACTIVATIONS[config.activation]
        self.dropout = dropout(config.inner_dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        activated, gate = self.input(hidden).chunk(2, dim=-1)
        return self.output(self.dropout(self.activate(activated) * gate))
