"""The smaller model goes on learning its task from labels; what was pruned to 0 stays so.

It makes nothing smaller, and is the control of `distil`: the same student, as long, without a teacher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from afterbert.base.budget import Budget
from afterbert.compression.methods import Method, Setting
from afterbert.compression.subject import Form, Subject
from afterbert.compression.training_again import trained


@dataclass(frozen=True)
class Retrain(Method):
    saves = frozenset()
    at_zero = "epochs=0.0"
    trains = True

    epochs: Annotated[float, Field(ge=0)] = 1.0
    """Rounds through the training rows."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-5
    batch_size: Annotated[int, Field(gt=0)] = 32
    steps: Annotated[int, Field(gt=0)] | None = None
    """In place of epochs."""

    def check(self, form: Form) -> Form:
        form.need_weights("retrain")
        form.need_task("retrain")
        return form

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        if not self.epochs and self.steps is None:
            return subject
        budget = Budget(self.epochs, "epochs") if self.steps is None else Budget(self.steps, "steps")
        return trained(subject, setting, budget=budget, learning_rate=self.learning_rate, batch_size=self.batch_size)
