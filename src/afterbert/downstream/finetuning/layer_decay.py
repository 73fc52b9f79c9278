"""Layer-wise learning rates: the further a layer is from the head, the less it moves.

Source: ULMFiT (1801.06146), Section 3.2, "discriminative fine-tuning"; ELECTRA (2003.10555), Appendix B, with
0.9 to 0.65 a layer.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from afterbert.training.optimizers import Optimizer
from afterbert.training.optimizers.adamw import AdamW

_LAYER = re.compile(r"backbone\.(?:decoder_)?stack\.(?:attention|cross_attention|feed_forward)\.(\d+)\.")
_EMBEDDINGS = re.compile(r"backbone\.(?:decoder_)?embeddings\.")


@dataclass(frozen=True)
class LayerDecay(Optimizer):
    """`inner` with the learning rate of layer l of L times decay ** (L - l); embeddings count as layer 0,
    heads and a final norm as L.

    >>> LayerDecay(decay=0.5).factors(["backbone.embeddings.token", "backbone.stack.attention.1.norm", "heads.x.last"])
    [0.125, 0.5, 1.0]
    """

    inner: Optimizer = field(default_factory=AdamW)
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9

    @property
    def learning_rate(self) -> float:
        return self.inner.learning_rate

    @property
    def is_relative(self) -> bool:
        return self.inner.is_relative

    def factors(self, names: list[str]) -> list[float]:
        """Returns the share of the learning rate that each parameter gets."""
        layers = [_layer_of(name) for name in names]
        top = max((layer for layer in layers if layer is not None), default=0) + 1
        return [self.decay ** (top - (top if layer is None else layer)) for layer in layers]

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        made = self.inner.build(module)
        names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        factor = dict(zip(names, self.factors(names)))
        by_parameter = {id(p): factor[name] for name, p in module.named_parameters() if name in factor}
        groups = []
        for group in made.param_groups:
            for share in sorted({by_parameter[id(parameter)] for parameter in group["params"]}):
                members = [p for p in group["params"] if by_parameter[id(p)] == share]
                rate = group["initial_lr"] * share
                groups.append({**group, "params": members, "initial_lr": rate, "lr": rate})
        made.param_groups[:] = groups
        return made


def _layer_of(name: str) -> int | None:
    """0 for embeddings, from 1 for layers, None for what is above them."""
    if _EMBEDDINGS.match(name):
        return 0
    found = _LAYER.match(name)
    return int(found[1]) + 1 if found else None
