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

from torch import Tensor, nn

from afterbert.base.config import to_plain
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone, LanguageModel
from afterbert.objectives import Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.text.token_store.store import Split


def _inners(name: str) -> Any:
    """The method of this name that hands everything on to that of `inner`."""

    def handed_on(self: Any, *given: Any, **named: Any) -> Any:
        return getattr(self.inner, name)(*given, **named)

    return handed_on


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

    pretexts, pictured, plan, pose, course = map(_inners, ("pretexts", "pictured", "plan", "pose", "course"))
    check, check_feed, check_shards = map(_inners, ("check", "check_feed", "check_shards"))
    flops_beside = _inners("flops_beside")


class WrappingModule(ObjectiveModule):
    """Every question about the model goes to `inner`, whose backbone is this one's too."""

    def __init__(self, inner: ObjectiveModule):
        super().__init__()
        self.backbone = inner.backbone
        self.inner = inner
        self.loss_weights = dict(inner.loss_weights)
        self.slot_axis = inner.slot_axis
        self.compares_rows = inner.compares_rows
        self.sentence_pooling = inner.sentence_pooling

    carried_state, load_carried_state, before_passes = map(
        _inners, ("carried_state", "load_carried_state", "before_passes")
    )
    predict, answer, measure, meanings = map(_inners, ("predict", "answer", "measure", "meanings"))
    use_lm_head, beside, start_from = map(_inners, ("use_lm_head", "beside", "start_from"))

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.inner(arrays)

    @property
    def language_model(self) -> LanguageModel | None:
        return self.inner.language_model

    @property
    def saved_heads(self) -> dict[str, nn.Module]:
        return self.inner.saved_heads
