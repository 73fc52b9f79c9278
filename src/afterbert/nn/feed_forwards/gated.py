"""A gated linear unit: `output(act(a) * g)`, with `a` and `g` the halves of one input layer.

Source: Shazeer (2002.05202); the packing [a | g] is ModernBERT's (2412.13663).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from afterbert.base.numbers import DropoutRate
from afterbert.nn.activations import Activation
from afterbert.nn.feed_forwards import FeedForward
from afterbert.nn.feed_forwards.plain import TwoLayers


@dataclass(frozen=True)
class Gated(FeedForward):
    """intermediate_size counts one half, as Hugging Face does."""

    activation: Activation = "gelu"
    bias: bool = False
    inner_dropout: DropoutRate = 0.0

    def build(self, hidden_size: int, intermediate_size: int) -> nn.Module:
        return _Gated(self, hidden_size, intermediate_size, packed=2)

    def num_weights(self, hidden_size: int, intermediate_size: int) -> int:
        return 3 * hidden_size * intermediate_size


class _Gated(TwoLayers):
    def forward(self, hidden: Tensor) -> Tensor:
        activated, gate = self.input(hidden).chunk(2, dim=-1)
        return self.output(self.dropout(self.activate(activated) * gate))
