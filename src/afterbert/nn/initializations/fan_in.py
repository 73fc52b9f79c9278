"""Each matrix by its own width, so that unscaled attention starts at scores of size one. T5's rule.

Source: T5's code (mesh_tensorflow `transformer_layers.py`, transformers `T5PreTrainedModel._init_weights`);
Section 3.1.1 of 1910.10683 only says that the scale of attention went into the initialisation.
"""

from dataclasses import dataclass

import torch
from torch import nn

from afterbert.base.numbers import Positive
from afterbert.nn.attention import SelfAttention
from afterbert.nn.initializations import Initialization
from afterbert.nn.positions.relative_bias import BucketBias


@dataclass(frozen=True)
class FanIn(Initialization):
    """Deviation in_features**-0.5; queries in_features**-0.5 * K**-0.5; tables embedding_deviation; all times
    initializer_factor."""

    initializer_factor: Positive = 1.0
    embedding_deviation: Positive = 1.0

    @torch.no_grad()
    def apply(self, module: nn.Module, num_hidden_layers: int) -> None:
        for part in module.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=self.initializer_factor * part.in_features**-0.5)
                if part.bias is not None:
                    part.bias.zero_()
            elif isinstance(part, nn.Embedding):
                nn.init.normal_(part.weight, std=self.initializer_factor * self.embedding_deviation)
        for part in module.modules():
            if isinstance(part, SelfAttention):
                part.qkv.weight[: part.width].mul_(part.head_size**-0.5)
            elif isinstance(part, BucketBias):
                part.table.weight.mul_(part.hidden_size**-0.5 / self.embedding_deviation)
