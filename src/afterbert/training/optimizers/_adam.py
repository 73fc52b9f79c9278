"""What Adam and its kin have in common: two running means of the gradient, and which weights decay."""

from dataclasses import dataclass

from afterbert.base.errors import UserError
from afterbert.base.numbers import NotNegative, Positive
from afterbert.training.optimizers import Optimizer


@dataclass(frozen=True)
class AdamKind(Optimizer):
    """The optimizers with Adam's running means."""

    learning_rate: Positive = 1e-3
    beta1: float = 0.9
    """How much of the running mean of the gradient a step keeps."""
    beta2: float = 0.999
    """How much of the running mean of the gradient's square a step keeps."""
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    decay_embeddings: bool = True
    """Whether embedding tables decay like other matrices (BERT: yes)."""

    def __post_init__(self) -> None:
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise UserError(f"beta1 is {self.beta1} and beta2 is {self.beta2}; both must be at least 0 and below 1")
