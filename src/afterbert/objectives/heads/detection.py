"""What ELECTRA's discriminator, and the variants that lead up to it, are asked about the corrupted text.

Source: ELECTRA (2003.10555), Section 2 for replaced pieces; Section 3.5 for `ELECTRA 15%`, `Replace MLM` and
`All-Tokens MLM`. Each is a head over the backbone's hidden states at the asked places.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.nn.heads import DetectionHead, LMHeadModule
from afterbert.objectives.parts.meaning import SHARE, Meaning
from afterbert.objectives.parts.scores import right, summed_binary, summed_cross_entropy

Measured = dict[str, tuple[Tensor, int]]


@dataclass(frozen=True)
class GeneratedRows:
    """The asked places, all [N]: which piece stood there and which is shown there now."""

    original_ids: Tensor
    shown_ids: Tensor

    @property
    def is_replaced(self) -> Tensor:
        """A sample that happens to be the original piece counts as original."""
        return self.original_ids != self.shown_ids


class Detector(nn.Module, ABC):
    """Called with hidden states [N, D] and what stands there, it returns its predictions."""

    part: str

    @abstractmethod
    def forward(self, hidden: Tensor, corrupted: GeneratedRows) -> Tensor:
        """Predictions [N] or [N, V]."""

    @abstractmethod
    def score(self, predictions: Tensor, corrupted: GeneratedRows) -> Tensor:
        """Returns the summed loss; 0 if nothing is asked."""

    @abstractmethod
    def meanings(self, vocab_size: int) -> Mapping[str, Meaning]:
        """Tells what its part of the score and its figures are called; see `ObjectiveModule.meanings`."""

    @abstractmethod
    def measure(self, predictions: Tensor, corrupted: GeneratedRows) -> Measured:
        """Returns figures for held-out rows."""


class IsReplaced(Detector):
    """Logits [N]: has another piece been put here?"""

    part = "replaced"

    def __init__(self, hidden_size: int):
        super().__init__()
        self.detection_head = DetectionHead(hidden_size)

    def forward(self, hidden: Tensor, corrupted: GeneratedRows) -> Tensor:
        return self.detection_head(hidden)

    def score(self, predictions: Tensor, corrupted: GeneratedRows) -> Tensor:
        return summed_binary(predictions, corrupted.is_replaced)

    def meanings(self, vocab_size: int) -> Mapping[str, Meaning]:
        asks = "replaced or original"
        return {
            "replaced": Meaning.of_choice(asks, 2, "piece"),
            "replaced_accuracy": Meaning.share_right(asks, beside="replaced_baseline"),
            "replaced_baseline": Meaning(f"{asks}, always original", SHARE),
            "replaced_recall": Meaning("replaced pieces that were found", SHARE),
            "replaced_precision": Meaning("pieces called replaced that were", SHARE),
        }

    def measure(self, predictions: Tensor, corrupted: GeneratedRows) -> Measured:
        says, truth = predictions > 0, corrupted.is_replaced
        return {
            "replaced_accuracy": ((says == truth).sum(), len(truth)),
            "replaced_baseline": ((~truth).sum(), len(truth)),  # who always says "original"
            "replaced_recall": ((says & truth).sum(), int(truth.sum())),
            "replaced_precision": ((says & truth).sum(), int(says.sum())),
        }


class WhichPiece(Detector):
    """Logits [N, V]: which piece stood here? The head is the architecture's own."""

    part = "pieces"

    def __init__(self, lm_head: LMHeadModule):
        super().__init__()
        self.lm_head = lm_head

    def forward(self, hidden: Tensor, corrupted: GeneratedRows) -> Tensor:
        return self.lm_head(hidden)

    def score(self, predictions: Tensor, corrupted: GeneratedRows) -> Tensor:
        return summed_cross_entropy(predictions, corrupted.original_ids)

    def meanings(self, vocab_size: int) -> Mapping[str, Meaning]:
        asks = "pieces behind the replaced ones"
        return {"pieces": Meaning.of_pieces(asks, vocab_size), "pieces_accuracy": Meaning.share_right(asks)}

    def measure(self, predictions: Tensor, corrupted: GeneratedRows) -> Measured:
        return {"pieces_accuracy": right(predictions, corrupted.original_ids)}


class WhichPieceOrThis(WhichPiece):
    """Log-probabilities [N, V]: the shown piece with the gate's probability, else what the head says."""

    def __init__(self, lm_head: LMHeadModule, hidden_size: int):
        super().__init__(lm_head)
        self.copy_gate = nn.Linear(hidden_size, 1)

    def forward(self, hidden: Tensor, corrupted: GeneratedRows) -> Tensor:
        gate = self.copy_gate(hidden).float()
        written = self.lm_head(hidden).float().log_softmax(-1) + F.logsigmoid(-gate)
        copied = torch.full_like(written, float("-inf"))
        copied = copied.scatter(1, corrupted.shown_ids[:, None], F.logsigmoid(gate))
        return torch.logaddexp(written, copied)

    def score(self, predictions: Tensor, corrupted: GeneratedRows) -> Tensor:
        return -predictions.gather(1, corrupted.original_ids[:, None]).sum()
