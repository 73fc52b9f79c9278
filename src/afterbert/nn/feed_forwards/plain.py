"""Two linear layers around an activation. Source: Vaswani et al. (1706.03762), Section 3.3."""

from dataclasses import dataclass

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
        return _Plain(self, hidden_size, intermediate_size)

    def num_weights(self, hidden_size: int, intermediate_size: int) -> int:
        return 2 * hidden_size * intermediate_size


class _Plain(nn.Module):
    def __init__(self, config: Plain, hidden_size: int, intermediate_size: int):
        super().__init__()
        self.hidden_matrices = {"input": 1, "output": 1}
        self.input = nn.Linear(hidden_size, intermediate_size, bias=config.bias)
        self.output = nn.Linear(intermediate_size, hidden_size, bias=config.bias)
        self.activate = ACTIVATIONS[config.activation]
        self.dropout = dropout(config.inner_dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.output(self.dropout(self.activate(self.input(hidden))))
