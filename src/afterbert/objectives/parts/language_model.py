"""What language models share that name a piece at each asked place of one stack's hidden states."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping

from torch import Tensor, nn

from afterbert.models import Architecture
from afterbert.nn.heads import LMHeadModule
from afterbert.objectives import ObjectiveModule
from afterbert.objectives.parts.arrays import stack_inputs


class LanguageModel(ObjectiveModule, ABC):
    """Backbone and its language-model head."""

    lm_head: LMHeadModule

    def __init__(self, architecture: Architecture, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.lm_head = architecture.build_lm_head(backbone)

    def hidden(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Hidden states [B, T, D] of a batch."""
        return self.backbone(arrays["input_ids"], **stack_inputs(arrays))

    def states(self, arrays: Mapping[str, Tensor], places: Tensor) -> Tensor:
        """Hidden states [N, D] at flat places [N] of a batch."""
        return self.backbone(arrays["input_ids"], **stack_inputs(arrays), wanted=places)

    def score(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """The summed cross-entropy at the asked places of a batch."""
        return self.lm_head.score(self.states(arrays, arrays["chosen"]), arrays["target_ids"])

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Logits [N, V] at the asked places of a batch."""
        return self.lm_head(self.states(arrays, arrays["chosen"]))
