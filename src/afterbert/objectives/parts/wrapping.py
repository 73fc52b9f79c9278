"""An objective around another: it trains the same task in another way (distillation, pruning while training) and keeps
everything that the task itself gives: rows, figures, samples, predictions, what is saved. The task may be one of
pre-training or one with labels.

Subclass both halves, and write only what differs.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from torch import Tensor, nn

from afterbert.base.config import to_plain
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.stages import Stages
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone, LanguageModel
from afterbert.objectives import Batch, Objective, PretextTask
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.meaning import Meaning
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class WrappingObjective(Objective, ABC):
    """Every question about rows and batches goes to `inner`."""

    inner: Objective

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> WrappingModule:
        """Builds what is trained, around the module of `inner`."""
        return WrappingModule(inner)

    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        return self.wrap(self.inner.build(architecture, vocabulary), architecture, vocabulary)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        return self.wrap(self.inner.build_on(backbone, architecture, vocabulary), architecture, vocabulary)

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        assert isinstance(module, WrappingModule)
        self.inner.begin(module.inner, split)

    def plain(self) -> Any:
        own = {f.name: to_plain(getattr(self, f.name)) for f in fields(self) if f.init and f.name != "inner"}
        return {"type": name_of(self), **own, "inner": self.inner.plain()}

    def pretexts(self) -> Mapping[str, PretextTask]:
        return self.inner.pretexts()

    def pictured(self) -> Mapping[str, PretextTask | str]:
        return self.inner.pictured()

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        return self.inner.plan(split, length=length, vocabulary=vocabulary, noise=noise)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        return self.inner.pose(plan, numbers, noise, vocabulary=vocabulary, length=length)

    def check(self, architecture: Architecture) -> None:
        self.inner.check(architecture)

    def check_feed(self, architecture: Architecture, *, order: str, views: int | None) -> None:
        self.inner.check_feed(architecture, order=order, views=views)

    def course(self) -> tuple[Stages, ...]:
        return self.inner.course()

    def flops_beside(self, architecture: Architecture, vocab_size: int, length: int) -> float:
        return self.inner.flops_beside(architecture, vocab_size, length)

    def pieces_per_row(self, length: int) -> float:
        return self.inner.pieces_per_row(length)

    def check_shards(self) -> None:
        self.inner.check_shards()


class WrappingModule(ObjectiveModule):
    """Every question about the model goes to `inner`, whose backbone is this one's too."""

    def __init__(self, inner: ObjectiveModule):
        super().__init__()
        self.backbone = inner.backbone
        self.inner = inner
        self.loss_weights = dict(inner.loss_weights)
        self.slot_axis = inner.slot_axis
        self.compares_rows = inner.compares_rows

    def carried_state(self) -> Mapping[str, Tensor]:
        return self.inner.carried_state()

    def load_carried_state(self, state: Mapping[str, Tensor]) -> None:
        self.inner.load_carried_state(state)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.inner(arrays)

    def before_passes(self, counts: Mapping[str, int]) -> None:
        self.inner.before_passes(counts)

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.inner.predict(arrays)

    def answer(self, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.inner.answer(arrays)

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        return self.inner.measure(arrays)

    def meanings(self) -> Mapping[str, Meaning]:
        return self.inner.meanings()

    @property
    def language_model(self) -> LanguageModel | None:
        return self.inner.language_model

    @property
    def saved_heads(self) -> dict[str, nn.Module]:
        return self.inner.saved_heads

    def use_lm_head(self, lm_head: nn.Module) -> None:
        self.inner.use_lm_head(lm_head)

    def beside(self) -> Mapping[str, LanguageModel]:
        return self.inner.beside()

    def start_from(self, weights: Mapping[str, Mapping[str, Tensor]]) -> tuple[str, ...]:
        return self.inner.start_from(weights)
