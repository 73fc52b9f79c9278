"""A gated linear unit: `output(act(a) * g)`, with `a` and `g` the halves of one input layer.

Source: Shazeer (2002.05202); the packing [a | g] is ModernBERT's (2412.13663).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

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
    def __init__(self, config: Gated, hidden_size: int, intermediate_size: int, *, packed: int):
        super().__init__(config, hidden_size, intermediate_size, packed=packed)
        self.is_gelu = config.activation == "gelu"

    def forward(self, hidden: Tensor) -> Tensor:
        packed = self.input(hidden)
        if self.is_gelu and packed.requires_grad and not torch.compiler.is_compiling():
            return self.output(self.dropout(_GatedGelu.apply(packed)))
        activated, gate = packed.chunk(2, dim=-1)
        return self.output(self.dropout(self.activate(activated) * gate))


class _GatedGelu(torch.autograd.Function):
    """gelu(a) * g of packed [a | g], where gradients are asked for: those of both halves are written into one packed
    tensor instead of being joined."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor) -> Tensor:
        before, gate = packed.chunk(2, dim=-1)
        activated = F.gelu(before)
        ctx.save_for_backward(packed, activated)
        return activated * gate

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        packed, activated = ctx.saved_tensors
        found = torch.empty_like(packed)
        (before, gate), (to_before, to_gate) = packed.chunk(2, dim=-1), found.chunk(2, dim=-1)
        torch.mul(gradient, activated, out=to_gate)
        torch.ops.aten.gelu_backward.grad_input(gradient * gate, before, grad_input=to_before)
        return found
