"""What contrastive vectors are trained with: the cosines of a batch's views."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from afterbert.models import Backbone
from afterbert.nn.inputs import Inputs
from afterbert.objectives.contrastive import Contrastive
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.meaning import Meaning
from afterbert.objectives.parts.scores import summed_cross_entropy


class ContrastiveModule(ObjectiveModule):
    """The module of `Contrastive`; the one part of its score is `contrast`."""

    compares_rows = True

    def __init__(self, config: Contrastive, backbone: Backbone):
        super().__init__()
        self.backbone = backbone
        self.config = config
        self.sentence_pooling = config.pooling
        self.loss_weights = {"contrast": 1.0}

    def vectors(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns vectors [2 B, D] of length 1: first those of the first views, then those of the second."""
        hidden = self.backbone.read(Inputs.of(arrays)).float()
        if self.config.pooling == "first":
            pooled = hidden[:, 0]
        else:
            is_text = arrays["is_text"][..., None]
            pooled = (hidden * is_text).sum(1) / is_text.sum(1).clamp(min=1)
        return nn.functional.normalize(pooled, dim=-1)

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns logits [N, N] of the batch's N pairs: the cosine of each first view with every second one, divided by
        the temperature."""
        first, second = self.vectors(arrays).chunk(2)
        is_pair = arrays["is_pair"]
        return first[is_pair] @ second[is_pair].T / self.config.temperature

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logits = self.predict(arrays)
        return {"contrast": summed_cross_entropy(logits, _own(logits))}

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        logits = self.predict(arrays)
        return {"contrast_accuracy": ((logits.argmax(-1) == _own(logits)).sum(), len(logits))}

    def meanings(self) -> Mapping[str, Meaning]:
        asks = "the other view among those of the batch"
        return {"contrast": Meaning(f"{asks}, loss", "nats per text"), "contrast_accuracy": Meaning.share_right(asks)}


def _own(logits: Tensor) -> Tensor:
    return torch.arange(len(logits), device=logits.device)
