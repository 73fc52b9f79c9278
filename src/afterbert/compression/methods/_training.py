"""What the methods have in common that make a model better again by training, not smaller."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.numbers import Count, NotNegative, Positive
from afterbert.base.plugins import find, name_of
from afterbert.compression.methods import Method, Setting
from afterbert.compression.subject import Form, Subject
from afterbert.compression.training_again import trained
from afterbert.downstream.finetuning.settings import FineTuning, usual_learning_rate
from afterbert.objectives import Objective


@dataclass(frozen=True)
class TrainingMethod(Method):
    """The methods that learn again from the training rows of the task."""

    saves = frozenset()
    at_zero = "epochs=0.0"
    trains = True

    epochs: NotNegative = 1.0
    """Rounds through the training rows."""
    learning_rate: Positive | None = None
    """None: 5e-5, and more for models narrower than 768, as `finetune` takes it."""
    batch_size: Count = 32
    steps: Count | None = None
    """In place of epochs."""

    def __post_init__(self) -> None:
        if self.steps is not None and self.epochs != TrainingMethod.epochs:
            raise UserError(f"epochs={self.epochs:g} and steps={self.steps} say two lengths; keep one")

    def around(self, objective: Objective, subject: Subject, setting: Setting) -> Objective:
        """Returns the objective to train, around the task with its labels. Raises UserError if the model does not
        fit."""
        return objective

    def finished(self, subject: Subject) -> Subject:
        """Returns the model after training."""
        return subject

    def control(self) -> Method | None:
        """Trains the same model for as long, from labels alone."""
        plainly: Any = find(Method, "retrain")
        if isinstance(self, plainly):
            return None
        found: Method = plainly(self.epochs, self.learning_rate, self.batch_size, self.steps)
        return found

    def check(self, form: Form) -> Form:
        form.need_weights(name_of(self))
        form.need_task(name_of(self))
        return form

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        if not self.epochs and self.steps is None:
            return subject
        budget = Budget(self.epochs, "epochs") if self.steps is None else Budget(self.steps, "steps")
        rate = self.learning_rate or usual_learning_rate(subject.model.architecture.hidden_size)
        settings = FineTuning(budget=budget, batch_size=self.batch_size).with_learning_rate(rate)
        wrap = partial(self.around, subject=subject, setting=setting)
        return self.finished(trained(subject, setting, settings, wrap=wrap))
