"""Training a smaller model on its task: alone, or with a teacher, with zeros kept where weights were pruned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from afterbert.base.vocabulary import Vocabulary
from afterbert.compression.methods import Setting
from afterbert.compression.subject import Subject
from afterbert.downstream.finetuning.runs import finetune
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.task_name import head_key
from afterbert.models import Architecture
from afterbert.objectives import Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingModule, WrappingObjective


def trained(
    subject: Subject, setting: Setting, settings: FineTuning, *, wrap: Callable[[Objective], Objective]
) -> Subject:
    """Goes on training the model and its head on the task's training rows. settings: budget, learning rate and batch;
    the others are the model's own. wrap: what is trained, around the task; the task itself learns from labels alone. A
    run that was stopped goes on. Raises UserError."""
    assert subject.tuned is not None and setting.task is not None
    name, tuned = setting.task, subject.tuned
    head = {key: tensor.detach() for key, tensor in tuned.head(name).state_dict().items()}
    start = replace(subject.model, weights={**subject.model.weights, head_key(name): head})
    rows = tuple(setting.learned_from())
    # nothing is held out here, chosen by dev or told of it: `compress` judges, by rows that are not handed in
    splits = {"train": rows, "dev": (replace(rows[0], label=None),)}
    data = TaskData(name, tuned.tasks[name], splits, (), tuned.columns.get(name, {}))
    settings = replace(
        settings,
        length=tuned.length,
        head=tuned.heads[name],
        summary=tuned.summary,
        seed=setting.noise.seed,
        precision="fp32",
        evaluate_every=None,
    )
    # of the matrices that were pruned: 0 where they stay so, else 1; a widening that changes nothing yet was not
    matrices = {
        name: one
        for name, one in subject.backbone.items()
        if one.dim() == 2 and not torch.equal(one, torch.eye(*one.shape, dtype=one.dtype))
    }
    zeros = {n: (one != 0).float() for n, one in matrices.items() if int((one == 0).sum()) > 0.01 * one.numel()}

    def kept(objective: Objective) -> Objective:
        return KeptZeros(wrap(objective), zeros) if zeros else wrap(objective)

    out = setting.folder / "run"
    done = finetune(start, [data], out, settings, wrap=kept, device=setting.device, observers=setting.observers)
    if done.outcome is not None:
        raise KeyboardInterrupt
    again = load_finetuned(out / f"seed-{setting.noise.seed}", device="cpu")
    after = replace(again.model, name=subject.model.name)
    # its thresholds stay (when to give no answer, or a label), for there are no rows here to find others by
    found = replace(again, model=after, heads={name: tuned.heads[name]}, figures={})
    return with_zeros(Subject(after, found), zeros)


def with_zeros(subject: Subject, kept: Mapping[str, Tensor]) -> Subject:
    """Returns the model with 0 wherever a matrix of `kept`, by its name in the backbone, has 0 and not 1."""
    if not kept:
        return subject
    state = {key: one * kept[key] if key in kept else one for key, one in subject.backbone.items()}
    return subject.changed(subject.model.architecture, state)


@dataclass(frozen=True)
class KeptZeros(WrappingObjective):
    """An objective that keeps pruned weights at 0: it puts them back before each pass (2002.08307, Section 3)."""

    kept: Mapping[str, Tensor]
    """Matrix of the backbone -> 1 where it is learned, 0 if it stays 0."""

    def plain(self) -> dict[str, Any]:
        counts = {name: int(one.sum()) for name, one in self.kept.items()}
        return {"type": "kept_zeros", "kept": counts, "inner": self.inner.plain()}

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> KeptZerosModule:
        return KeptZerosModule(inner, self.kept)


class KeptZerosModule(WrappingModule):
    """The module of `KeptZeros`."""

    def __init__(self, inner: ObjectiveModule, kept: Mapping[str, Tensor]):
        super().__init__(inner)
        self._kept = dict(kept)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weights = dict(self.backbone.named_parameters())
        with torch.no_grad():
            for name, mask in self._kept.items():
                weights[name].mul_(mask.to(weights[name].device))
        return self.inner(arrays)
