"""A student learns what a teacher in memory says: an objective around a task's."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture
from afterbert.objectives import Batch, ObjectiveModule
from afterbert.objectives.parts.distillation import DistillationModule, Losses, with_counts
from afterbert.objectives.parts.wrapping import WrappingObjective
from afterbert.pretext.pairings import Plan


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
