"""The layers of a smaller model take the places of the larger one's, by chance first and all of them at the end.

Source: BERT-of-Theseus (2002.02925, Section 3): every layer stands for as many of the predecessor's; in a step each is
replaced with a chance that grows evenly, p = min(1, k t + b); only the successor's layers learn until all of them
stand, then embeddings and head too. No loss but the task's own. Put it right behind `layers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.vocabulary import Vocabulary
from afterbert.compression.methods import Setting
from afterbert.compression.methods._training import TrainingMethod
from afterbert.compression.parts.shapes import unshared_stack
from afterbert.compression.subject import Form, Subject
from afterbert.models import Architecture
from afterbert.models.parts.single_stack import SingleStack
from afterbert.nn.stack import Compute, StackModule, stood_in
from afterbert.objectives import Batch, Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingModule, WrappingObjective
from afterbert.pretext.pairings import Plan


@dataclass(frozen=True)
class Theseus(TrainingMethod):
    """Learns in the company of the layers it replaces."""

    start: Rate = 0.5
    """The chance at the first step that a layer stands in for its predecessors."""
    alone: Rate = 0.5
    """The share of the run from which on all do."""

    def check(self, form: Form) -> Form:
        mine = unshared_stack(super().check(form), "theseus")
        if mine.stack.windows is not None:
            raise UserError("theseus does not fit a model whose layers have different attention windows; take distil")
        if form.first is None:
            return form
        first, number = form.first.model.architecture, mine.num_hidden_layers
        if not isinstance(first, SingleStack) or replace(first, num_hidden_layers=number) != mine:
            raise UserError("theseus: a layer can stand in only for layers of its own shape; put it right after layers")
        return form

    def around(self, objective: Objective, subject: Subject, setting: Setting) -> Objective:
        teacher = setting.teacher
        if teacher is None or teacher.tuned is None:
            raise UserError("theseus: the original model answers no task; fine-tune it first")
        return ReplacedLayers(objective, self.start, self.alone, teacher.tuned.module, teacher.model.name)


def chance_of_standing(start: float, alone: float, progress: float) -> float:
    """Returns the probability that a layer stands in for its predecessors at a moment of the run.

    >>> chance_of_standing(0.5, 0.5, 0.0), chance_of_standing(0.5, 0.5, 0.25), chance_of_standing(0.5, 0.5, 0.9)
    (0.5, 0.75, 1.0)
    """
    return min(1.0, start + (1 - start) * progress / alone)


@dataclass(frozen=True)
class ReplacedLayers(WrappingObjective):
    """The task inside, answered by layers of both models."""

    start: float
    alone: float
    predecessor: ObjectiveModule = field(repr=False, compare=False)
    predecessor_name: str = "predecessor"

    def plain(self) -> Any:
        said = {
            "type": "replaced_layers",
            "start": self.start,
            "alone": self.alone,
            "predecessor": self.predecessor_name,
        }
        return {**said, "inner": self.inner.plain()}

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> ReplacedModule:
        return ReplacedModule(inner, self.predecessor)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        batch = self.inner.pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        chance = chance_of_standing(self.start, self.alone, noise.progress)
        drawn = noise.of("theseus").uniform(batch.row_keys[:1], np.arange(len(_layers(self.predecessor))))
        stands = drawn.reshape(-1) < chance if chance < 1 else np.zeros(0, dtype=bool)
        return replace(batch, arrays={**batch.arrays, "stands": stands})


class ReplacedModule(WrappingModule):
    """The predecessor is no part of it, so it is neither trained nor saved."""

    def __init__(self, inner: ObjectiveModule, predecessor: ObjectiveModule):
        super().__init__(inner)
        self._predecessor = (predecessor.eval().requires_grad_(False),)
        self._is_alone = False
        layers = {id(one) for one in _stack(inner).parameters()}
        for parameter in inner.parameters():
            if id(parameter) not in layers and parameter.requires_grad:
                parameter.register_hook(lambda gradient: gradient if self._is_alone else gradient * 0)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        stands = arrays["stands"].tolist()
        self._is_alone = not stands
        if self._is_alone:
            return self.inner(arrays)
        theirs = _stack(self._predecessor[0].to(arrays["input_ids"].device))
        count, whole = len(_layers(self.inner)), len(_layers(self._predecessor[0]))

        def stand_in(mine: StackModule, number: int, hidden: Tensor, compute: Compute) -> Tensor:
            if stands[number]:
                return compute(mine, number, hidden)
            for layer in range(number * whole // count, (number + 1) * whole // count):
                hidden = compute(theirs, layer, hidden)
            return hidden

        with stood_in(self.backbone, stand_in):
            return self.inner(arrays)


def _stack(module: ObjectiveModule) -> StackModule:
    found: StackModule = cast(Any, module.backbone).stack
    return found


def _layers(module: ObjectiveModule) -> tuple[str, ...]:
    return _stack(module).layer_types
