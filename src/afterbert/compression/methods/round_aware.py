"""The model learns its task while it computes as `quantize` will: matrices and what they read rounded to 8 bits.

Source: Q8BERT (1910.06188, Section 3), after Jacob et al. (1712.05877): weights symmetric, here for each output
channel as ONNX Runtime has them; what layers read by the range of the batch. The gradient goes through rounding as if
there were none. It makes nothing smaller; put `quantize` behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from torch import Tensor

from afterbert.base.vocabulary import Vocabulary
from afterbert.compression.methods import Setting
from afterbert.compression.methods._training import TrainingMethod
from afterbert.compression.parts.seen_weights import SeenWeights, linear_weights
from afterbert.compression.subject import Subject
from afterbert.models import Architecture
from afterbert.objectives import Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingObjective


@dataclass(frozen=True)
class RoundAware(TrainingMethod):
    """Learns from labels, rounded."""

    def around(self, objective: Objective, subject: Subject, setting: Setting) -> Objective:
        return Rounded(objective, tuple(linear_weights(subject.backbone)))


@dataclass(frozen=True)
class Rounded(WrappingObjective):
    """The task inside, computed in 8 bits."""

    names: tuple[str, ...]
    """The matrices of the backbone."""

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> RoundedModule:
        return RoundedModule(inner, self.names)


class RoundedModule(SeenWeights):
    """The module that rounds its weights and states while it trains."""

    def __init__(self, inner: ObjectiveModule, names: Sequence[str]):
        super().__init__(inner, names)
        layers = dict(inner.backbone.named_modules())
        # an attention reads what its packed layer does, which is not called where only some places are asked for
        self._reading = tuple(layers[name.removesuffix(".weight").removesuffix(".qkv")] for name in self.names)

    def seen(self, number: int, weight: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        return rounded_weight(weight)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with ExitStack() as hooks:
            for layer in self._reading:
                hooks.enter_context(
                    layer.register_forward_pre_hook(lambda _, given: (rounded_states(given[0]), *given[1:]))
                )
            return super().forward(arrays)


def rounded_weight(weight: Tensor) -> Tensor:
    """Returns a matrix [O, I] rounded to 255 steps for each of its O rows, from minus to plus the row's largest
    number."""
    scale = weight.detach().abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
    return weight + ((weight / scale).round() * scale - weight).detach()


def rounded_states(states: Tensor) -> Tensor:
    """Returns states [...] rounded to 256 steps from their lowest to their highest number, with 0 among the steps."""
    low, high = states.detach().amin().clamp_max(0.0), states.detach().amax().clamp_min(0.0)
    scale = ((high - low) / 255).clamp_min(1e-12)
    zero = (-low / scale).round()
    taken = ((states / scale).round() + zero).clamp(0, 255)
    return states + ((taken - zero) * scale - states).detach()
