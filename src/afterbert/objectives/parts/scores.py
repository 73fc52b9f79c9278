"""Summed scores that several objectives use."""

from torch import Tensor
from torch.nn import functional as F


def summed_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Sums the cross-entropy of logits [N, V] at targets [N], in float32; 0 for no targets; a target of -1 asks
    nothing."""
    return F.cross_entropy(logits.float(), targets, reduction="sum", ignore_index=-1)


def summed_binary(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns binary cross-entropy of logits [N] at labels [N] in {0, 1}, in float32; 0 for none."""
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")


def right(logits: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """Returns (right first guesses, guesses) of logits [N, V]; targets of -1 do not count."""
    asked = targets >= 0
    return ((logits.argmax(-1) == targets) & asked).sum(), int(asked.sum())
