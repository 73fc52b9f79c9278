"""The smaller model learns its task from the model as it was.

Sources: see `objectives.parts.distillation`. The control is the same student, as long, without a teacher.
"""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.compression.methods import Setting
from afterbert.compression.methods._training import TrainingMethod
from afterbert.compression.methods.retrain import Retrain
from afterbert.compression.subject import Subject
from afterbert.models import Architecture
from afterbert.objectives import Batch, Objective, ObjectiveModule
from afterbert.objectives.parts.distillation import DistillationModule, Losses, Weight, with_counts
from afterbert.objectives.parts.wrapping import WrappingObjective
from afterbert.pretext.pairings import Plan


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

    def around(self, objective: Objective, subject: Subject, setting: Setting) -> Objective:
        teacher = setting.teacher
        if teacher is None or teacher.tuned is None:
            raise UserError("there is no teacher: the model as it was answers no task")
        return Distillation(objective, teacher.tuned.module, self.losses(), teacher.model.name)

    def control(self) -> Retrain:
        return Retrain(self.epochs, self.learning_rate, self.batch_size, self.steps)


@dataclass(frozen=True)
class Distillation(WrappingObjective):
    """The rows, figures and pretexts of `inner`, learned from a teacher."""

    teacher: ObjectiveModule = field(repr=False, compare=False)
    """Answers the same batches: built by the same objective on another backbone, with the same vocabulary."""
    losses: Losses = Losses()
    teacher_name: str = "teacher"
    """What the run's identity calls it."""

    def plain(self) -> dict[str, Any]:
        said = {one.name: getattr(self.losses, one.name) for one in fields(self.losses)}
        return {"type": name_of(self), "teacher": self.teacher_name, "losses": said, "inner": self.inner.plain()}

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> DistillationModule:
        return DistillationModule(inner, self.teacher, self.losses)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        return with_counts(self.inner.pose(plan, numbers, noise, vocabulary=vocabulary, length=length), self.losses)
