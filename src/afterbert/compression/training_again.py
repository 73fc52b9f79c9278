"""Training a smaller model on its task: alone, or with a teacher, with zeros kept where weights were pruned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.compression.methods import Setting
from afterbert.compression.subject import Subject
from afterbert.downstream.finetuning.runs import finetune
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.task_name import head_key
from afterbert.models import Architecture
from afterbert.objectives import Batch, Objective, ObjectiveModule
from afterbert.objectives.parts.distillation import DistillationModule, Losses, with_counts
from afterbert.objectives.parts.wrapping import WrappingModule, WrappingObjective
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


def trained(
    subject: Subject,
    setting: Setting,
    *,
    budget: Budget,
    learning_rate: float,
    batch_size: int,
    losses: Losses | None = None,
) -> Subject:
    """Goes on training the model and its head on the task's training rows. losses: what is learned from the teacher;
    None learns from labels alone. A run that was stopped goes on. Raises UserError."""
    assert subject.tuned is not None and setting.task is not None
    name, tuned, teacher = setting.task, subject.tuned, setting.teacher
    head = {key: tensor.detach() for key, tensor in tuned.head(name).state_dict().items()}
    start = replace(subject.model, weights={**subject.model.weights, head_key(name): head})
    rows = tuple(setting.rows["train"])
    # no row is held out: nothing is chosen by dev, and the steps are judged by rows that are not handed in
    data = TaskData(name, tuned.tasks[name], {"train": rows, "dev": rows[:1]}, ())
    settings = FineTuning(
        budget=budget,
        batch_size=batch_size,
        length=tuned.length,
        head=tuned.heads[name],
        summary=tuned.summary,
        seed=setting.noise.seed,
        precision="fp32",
        evaluate_every=None,
    ).with_learning_rate(learning_rate)
    # of the matrices that were pruned: 0 where they stay so, else 1
    matrices = {name: one for name, one in subject.backbone.items() if one.dim() == 2}
    zeros = {n: (one != 0).float() for n, one in matrices.items() if int((one == 0).sum()) > 0.01 * one.numel()}

    def wrap(objective: Objective) -> Objective:
        if losses is not None:
            if teacher is None or teacher.tuned is None:
                raise UserError("there is no teacher: the model as it was answers no task")
            objective = Distillation(objective, teacher.tuned.module, losses, teacher.model.name)
        return KeptZeros(objective, zeros) if zeros else objective

    done = finetune(
        start, [data], setting.folder / "run", settings, wrap=wrap, device=setting.device, observers=setting.observers
    )
    if done.outcome is not None:
        raise KeyboardInterrupt
    again = load_finetuned(setting.folder / "run" / f"seed-{setting.noise.seed}", device="cpu")
    after = replace(again.model, name=subject.model.name)
    found = Subject(after, replace(again, model=after, figures={}))
    if not zeros:
        return found
    state = {key: one * zeros[key] if key in zeros else one for key, one in found.backbone.items()}
    return found.changed(found.model.architecture, state)


@dataclass(frozen=True)
class KeptZeros(WrappingObjective):
    """What was pruned stays 0: before each pass the weights are put back (2002.08307, Section 3)."""

    kept: Mapping[str, Tensor]
    """Matrix of the backbone -> 1 where it is learned, 0 where it stays 0."""

    def plain(self) -> dict[str, Any]:
        counts = {name: int(one.sum()) for name, one in self.kept.items()}
        return {"type": "kept_zeros", "kept": counts, "inner": self.inner.plain()}

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> KeptZerosModule:
        return KeptZerosModule(inner, self.kept)


class KeptZerosModule(WrappingModule):
    def __init__(self, inner: ObjectiveModule, kept: Mapping[str, Tensor]):
        super().__init__(inner)
        self._kept = dict(kept)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weights = dict(self.backbone.named_parameters())
        with torch.no_grad():
            for name, mask in self._kept.items():
                weights[name].mul_(mask.to(weights[name].device))
        return self.inner(arrays)
