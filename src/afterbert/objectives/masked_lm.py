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

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.heads import Pooler
from afterbert.objectives import Batch, Objective, ObjectiveModule
from afterbert.objectives._arrays import asked_arrays, encoder_inputs, input_arrays, width_of
from afterbert.objectives._boundary import Boundary, BoundaryHead
from afterbert.objectives._scores import right, summed_cross_entropy
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import InPlace
from afterbert.pretext.task import Pretext
from afterbert.text.store import Split


@dataclass(frozen=True)
class MaskedLM(Objective):
    """pretext: the four questions; its answer must be in place.

    decoder_bias_start: the output bias begins at zero (BERT) or at the log-frequencies of the training text, which saves the
    first steps from learning them. boundary: SpanBERT's second loss; None for none. pair_loss_weight: of the pair question,
    where the pairing asks one.
    """

    pretext: Pretext
    decoder_bias_start: Literal["zeros", "log_frequencies"] = "zeros"
    boundary: Boundary | None = None
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
        if self.boundary is not None:
            positions = next(asked.positions for asked in posed.asked if isinstance(asked, InPlace))
            arrays |= self.boundary.arrays(posed.shown, positions, width=width)
            counts["boundary"] = len(arrays["boundary_asked"])
        return Batch(arrays, counts, posed.shown.num_pieces, posed.shown.keys)

    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> MaskedLMModule:
        assert isinstance(architecture, Encoder)
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
            module.lm_head.start_at(torch.from_numpy(_log_frequencies(split, module.vocab_size)))


class MaskedLMModule(ObjectiveModule):
    """Parts of the score: `masked`, and the pair question's name."""

    def __init__(self, config: MaskedLM, architecture: Encoder, backbone: nn.Module):
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
        if config.boundary is not None:
            self.loss_weights["boundary"] = config.boundary.loss_weight
            table: nn.Embedding = backbone.embeddings.token  # type: ignore[union-attr, assignment]
            self.boundary = BoundaryHead(config.boundary, architecture.hidden_size, table)
        for name, part in self.named_children():
            if name not in ("backbone", "lm_head"):  # these have drawn their own weights
                architecture.initialization.apply(part, architecture.num_hidden_layers)

    def hidden(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Hidden states [B, T, D] of a batch."""
        return self.backbone(arrays["input_ids"], **encoder_inputs(arrays))

    def logits(self, hidden: Tensor, chosen: Tensor) -> Tensor:
        """Logits [N, V] at flat places [N] of hidden states [B, T, D]."""
        return self.lm_head(hidden.flatten(0, 1)[chosen])

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Logits [N, V] at the chosen places of a batch."""
        return self.logits(self.hidden(arrays), arrays["chosen"])

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        hidden = self.hidden(arrays)
        scores = {"masked": summed_cross_entropy(self.logits(hidden, arrays["chosen"]), arrays["target_ids"])}
        if self.question:
            pair_logits = self.pair_head(self.pooler(hidden))
            scores[self.question] = summed_cross_entropy(pair_logits, arrays[f"{self.question}_labels"])
        if "boundary" in self.loss_weights:
            around = (arrays["boundary_left"], arrays["boundary_right"], arrays["boundary_place"])
            logits = self.boundary(hidden.flatten(0, 1), *around)
            scores["boundary"] = summed_cross_entropy(logits, arrays["target_ids"][arrays["boundary_asked"]])
        return scores

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        hidden = self.hidden(arrays)
        found = {"masked_accuracy": right(self.logits(hidden, arrays["chosen"]), arrays["target_ids"])}
        if self.question:
            labels = arrays[f"{self.question}_labels"]
            found[f"{self.question}_accuracy"] = right(self.pair_head(self.pooler(hidden)), labels)
        return found


def _log_frequencies(split: Split, vocab_size: int, *, most: int = 5_000_000) -> np.ndarray:
    """float32 [V]: natural logarithm of the pieces' add-one smoothed shares in the first `most` pieces of the split."""
    counts = np.bincount(split.pieces(np.arange(min(most, split.num_pieces))), minlength=vocab_size)
    return np.log((counts + 1) / (counts.sum() + vocab_size)).astype(np.float32)
