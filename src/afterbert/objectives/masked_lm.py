"""Masked language model: which piece belongs at each chosen place? With the pair question where the pairing asks one.

Source: BERT (1810.04805), Section 3.1, Tasks 1 and 2. The head runs at the chosen places only; the score is the same as
running it everywhere and ignoring the rest. The two losses are each a mean and are added, as in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.heads import Pooler
from afterbert.objectives import Batch, Objective, ObjectiveModule
from afterbert.objectives._arrays import asked_arrays, encoder_inputs, input_arrays, width_of
from afterbert.pretext.pairings import Plan
from afterbert.pretext.task import Pretext
from afterbert.text.store import Split


@dataclass(frozen=True)
class MaskedLM(Objective):
    """pretext: the four questions; its answer must be in place.

    decoder_bias_start: the output bias begins at zero (BERT) or at the log-frequencies of the training text, which saves the
    first steps from learning them. pair_loss_weight: of the pair question, where the pairing asks one.
    """

    pretext: Pretext
    decoder_bias_start: Literal["zeros", "log_frequencies"] = "zeros"
    pair_loss_weight: Annotated[float, Field(ge=0)] = 1.0

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        return self.pretext.pairing.plan(split, length=length, vocabulary=vocabulary, noise=noise)

    def pose(
        self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int
    ) -> Batch:
        posed = self.pretext.pose(plan.rows(numbers), noise, vocabulary, plan.labels(numbers))
        width = width_of(posed, length)
        asked, counts = asked_arrays(posed, width=width)
        arrays = input_arrays(posed, vocabulary, width=width) | asked
        return Batch(arrays, counts, posed.shown.num_pieces, posed.shown.keys)

    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> MaskedLMModule:
        backbone = architecture.build(vocabulary)
        return MaskedLMModule(self, architecture, backbone)

    def check(self, architecture: Architecture) -> None:
        if not isinstance(architecture, Encoder):
            raise UserError(
                "a masked_lm objective needs a model that reads both ways; set model.type to encoder, or choose "
                "another objective"
            )

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        if self.decoder_bias_start == "log_frequencies":
            assert isinstance(module, MaskedLMModule)
            module.lm_head.start_at(torch.from_numpy(split.log_frequencies(module.vocab_size)))


class MaskedLMModule(ObjectiveModule):
    """Parts of the score: `masked`, and the pair question's name."""

    def __init__(self, config: MaskedLM, architecture: Architecture, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        self.lm_head = architecture.build_lm_head(backbone)
        self.vocab_size = int(backbone.embeddings.token.weight.shape[0])  # type: ignore[union-attr]
        self.question = config.pretext.pairing.question
        self.loss_weights = {"masked": 1.0}
        if self.question:
            self.loss_weights[self.question] = config.pair_loss_weight
            self.pooler = Pooler().build(architecture.hidden_size)
            self.pair_head = nn.Linear(architecture.hidden_size, 2)

    def hidden(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Hidden states [B, T, D] of a batch."""
        return self.backbone(arrays["input_ids"], **encoder_inputs(arrays))

    def logits(self, hidden: Tensor, chosen: Tensor) -> Tensor:
        """Logits [N, V] at flat places [N] of hidden states [B, T, D]."""
        return self.lm_head(hidden.flatten(0, 1)[chosen])

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        hidden = self.hidden(arrays)
        scores = {"masked": _cross_entropy(self.logits(hidden, arrays["chosen"]), arrays["target_ids"])}
        if self.question:
            pair_logits = self.pair_head(self.pooler(hidden))
            scores[self.question] = _cross_entropy(pair_logits, arrays[f"{self.question}_labels"])
        return scores

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        hidden = self.hidden(arrays)
        right = self.logits(hidden, arrays["chosen"]).argmax(-1) == arrays["target_ids"]
        found = {"masked_accuracy": (right.sum(), len(right))}
        if self.question:
            labels = arrays[f"{self.question}_labels"]
            right = self.pair_head(self.pooler(hidden)).argmax(-1) == labels
            found[f"{self.question}_accuracy"] = (right.sum(), int((labels >= 0).sum()))
        return found


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Summed, in float32; 0 for no targets; a target of -1 asks nothing."""
    return F.cross_entropy(logits.float(), targets, reduction="sum", ignore_index=-1)
