"""The task inside, trained with layers left out by chance, so that fewer layers can serve later.

Source: LayerDrop (Fan et al., 1909.11556, Section 3.1). `afterbert compress --with layers:...,drop=alternate` then
takes out every other layer with little harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.numbers import DropoutRate
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture
from afterbert.nn.stack import Compute, StackModule, stood_in
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingModule, WrappingObjective


@dataclass(frozen=True)
class LayerDrop(WrappingObjective):
    """An objective that leaves out layers at random while it trains."""

    rate: DropoutRate = 0.2
    """The chance that a layer is left out of a pass in training."""

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> LayerDropModule:
        if not inner.backbone.calls_layers_once:
            raise UserError(
                "a layer of this model computes two streams, so layer_drop cannot leave it out; train without"
            )
        return LayerDropModule(inner, self.rate)

    def check_shards(self) -> None:
        raise UserError(
            "objective layer_drop leaves out different layers in each process, which a model in shards cannot do; "
            "set training.parallel to ddp"
        )


class LayerDropModule(WrappingModule):
    """Chances come from the generator that dropout uses, which a resumed run goes on with."""

    def __init__(self, inner: ObjectiveModule, rate: float):
        super().__init__(inner)
        self.rate = rate

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not self.training or not self.rate:
            return self.inner(arrays)
        with stood_in(self.backbone, self._kept_or_left_out):
            return self.inner(arrays)

    def _kept_or_left_out(self, stack: StackModule, number: int, hidden: Tensor, compute: Compute) -> Tensor:
        return hidden if float(torch.rand(())) < self.rate else compute(stack, number, hidden)
