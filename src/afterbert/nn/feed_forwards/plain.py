"""Two linear layers around an activation. Source: Vaswani et al. (1706.03762), Section 3.3."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from afterbert.base.numbers import DropoutRate
from afterbert.nn.activations import ACTIVATIONS, Activation
from afterbert.nn.dropout import dropout
from afterbert.nn.feed_forwards import FeedForward


@dataclass(frozen=True)
class Plain(FeedForward):
    """Two linear layers with an activation between."""

    activation: Activation = "gelu"
    bias: bool = True
    inner_dropout: DropoutRate = 0.0
    """Whether the activated states get dropout (T5, BART; not in BERT)."""

    def build(self, hidden_size: int, intermediate_size: int) -> nn.Module:
        return TwoLayers(self, hidden_size, intermediate_size)

    def num_weights(self, hidden_size: int, intermediate_size: int) -> int:
        return 2 * hidden_size * intermediate_size


class TwoLayers(nn.Module):
    """Two linear layers around an activation; the first one packs so many matrices one above the other."""

    def __init__(self, config: Any, hidden_size: int, intermediate_size: int, *, packed: int = 1):
        super().__init__()
        self.hidden_matrices = {"input": packed, "output": 1}
        self.input = nn.Linear(hidden_size, packed * intermediate_size, bias=config.bias)
        self.output = nn.Linear(intermediate_size, hidden_size, bias=config.bias)
        self.activate = ACTIVATIONS[config.activation]
        self.dropout = dropout(config.inner_dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.output(self.dropout(self.activate(self.input(hidden))))
