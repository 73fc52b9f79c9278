"""The smaller model learns its task from the model as it was.

Sources: see `objectives.parts.distillation`. The control is the same student, as long, without a teacher.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from pydantic import Field

from afterbert.compression.methods._training import TrainingMethod
from afterbert.compression.methods.retrain import Retrain
from afterbert.objectives.parts.distillation import Losses, Weight


@dataclass(frozen=True)
class Distil(TrainingMethod):
    """Learns what the teacher says."""

    temperature: Annotated[float, Field(gt=0)] = 1.0
    """By which logits are divided before they are compared."""
    soft: Weight = 1.0
    """Weight of the teacher's distribution."""
    hard: Weight = 0.0
    """Weight of the labels."""
    hidden: Weight = 0.0
    """Weight of TinyBERT's hidden states."""
    attention: Weight = 0.0
    """Weight of TinyBERT's attention scores."""
    relations: Weight = 0.0
    """Weight of MiniLM's attention and value relations."""
    patient: Weight = 0.0
    """Weight of patient distillation's first pieces."""

    def __post_init__(self) -> None:
        self.losses()

    def losses(self) -> Losses:
        """The weights of what is compared. Raises UserError where all are 0."""
        return Losses(**{one.name: getattr(self, one.name) for one in fields(Losses) if hasattr(self, one.name)})

    def control(self) -> Retrain:
        return Retrain(self.epochs, self.learning_rate, self.batch_size, self.steps)
