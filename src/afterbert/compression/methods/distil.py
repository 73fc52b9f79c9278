"""The smaller model learns its task from the model as it was.

Sources: see `objectives.parts.distillation`. The control is the same student, as long, without a teacher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from afterbert.base.budget import Budget
from afterbert.compression.methods import Method, Setting
from afterbert.compression.methods.retrain import Retrain
from afterbert.compression.subject import Form, Subject
from afterbert.compression.training_again import trained
from afterbert.objectives.parts.distillation import Losses

Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Distil(Method):
    saves = frozenset()
    at_zero = "epochs=0.0"
    trains = True

    epochs: Annotated[float, Field(ge=0)] = 1.0
    """Rounds through the training rows."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    batch_size: Annotated[int, Field(gt=0)] = 32
    steps: Annotated[int, Field(gt=0)] | None = None
    """In place of epochs."""
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
        return Losses(
            temperature=self.temperature,
            soft=self.soft,
            hard=self.hard,
            hidden=self.hidden,
            attention=self.attention,
            relations=self.relations,
            patient=self.patient,
        )

    def check(self, form: Form) -> Form:
        form.need_weights("distil")
        form.need_task("distil")
        return form

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        if not self.epochs and self.steps is None:
            return subject
        return trained(
            subject,
            setting,
            budget=Budget(self.epochs, "epochs") if self.steps is None else Budget(self.steps, "steps"),
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            losses=self.losses(),
        )

    def control(self) -> Retrain:
        return Retrain(self.epochs, self.learning_rate, self.batch_size, self.steps)
