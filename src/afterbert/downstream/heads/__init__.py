"""Heads: how a task is posed to a backbone's states, scored, and read off again. One file each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.downstream.example import Example
from afterbert.downstream.posing.backbone import Summary
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.posing.prepared import Prepared
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Task, labels_of
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.task_class import Answering
from afterbert.models import Backbone

#: What a head's module gives for each row [R].
Outputs = Sequence[np.ndarray]


@dataclass(frozen=True)
class Footing:
    """What the weights of a head stand on."""

    model: LoadedModel
    summary: Summary
    """The piece that speaks for a row."""
    class_weights: np.ndarray | None = None
    """How much each class weighs in the loss; None where all weigh alike."""


class HeadModule(nn.Module, ABC):
    """The weights of a head. `arrays` are those of a batch that the head's `prepare` has made. writes: whether it
    answers with a text, through the language model's own head."""

    writes: ClassVar[bool] = False

    def wanted(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """Flat places [N] of [B, T], where it reads no other states; it is given those alone [N, D] then."""
        return None

    @abstractmethod
    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """The summed loss (float32 scalar) from hidden states [B, T, D]."""

    def attach(self, backbone: Backbone, lm_head: nn.Module) -> None:
        """Hands over what heads that write share with the model; called once, before anything else."""

    @abstractmethod
    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Computes what predictions are read from, [B, ...] or [B, T, ...]."""

    def logits(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Computes what it says to all that the batch asks: [N, K], of which a softmax over K makes shares, or [N, 1]
        where a number is asked."""
        return self.output(hidden, arrays)


class Head(ABC):
    """A frozen config: posing (numpy), weights, and reading predictions off (numpy)."""

    answers: ClassVar[tuple[str, ...]]
    """The kinds of `Task.answer` that it gives."""
    is_by_piece: ClassVar[bool] = False
    """Whether its output has a place for every piece of a row."""
    writes: ClassVar[bool] = False
    """Whether it answers with a text, through the language model's own head, so has nothing of its own to learn."""
    weighs_classes: ClassVar[bool] = False
    """Whether its loss heeds `class_weights`."""
    when_too_long: ClassVar[str] = "cut"
    """What happens to a row that is longer than the length, in words."""

    @classmethod
    def serves(cls, task: Task) -> bool:
        """Whether it can answer this kind of task."""
        return task.answer in cls.answers

    def settled(self, model: LoadedModel, name: str) -> Head:
        """Gives the same head with nothing left open for the task `name` on this model. Raises UserError where
        they do not go together."""
        return self

    @abstractmethod
    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        """All examples as rows. Examples without a label, or with one that was never seen, ask nothing."""

    @abstractmethod
    def build(self, task: Task, on: Footing) -> HeadModule:
        """Fresh weights (but for a pre-trained pooler where the head has one)."""

    def chooses(self, task: Task) -> bool:
        """Whether `calibrated` chooses anything for this task."""
        return False

    def calibrated(self, asked: Prepared, outputs: Outputs) -> Head:
        """Gives the same head with what is chosen on rows that were not trained on, from their outputs; itself where
        nothing is."""
        return self

    def chosen(self, task: Task) -> Mapping[str, Any]:
        """Setting -> what `calibrated` chose for it, and the same as `said` in words; empty where it chose nothing."""
        return {}

    def answering(self, task: Task, module: HeadModule) -> Answering | None:
        """Its trained layers as one of Hugging Face's classes has them; None where none does."""
        return None

    @abstractmethod
    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        """One prediction for each example that `prepare` was given, in the terms of its labels, with whatever the
        outputs tell besides: probabilities, places, how sure they are."""


def head_for(task: Task, asked: Head | None) -> Head:
    """The head asked for where it serves this kind of task, else the usual one. Raises UserError."""
    kind = plugins.name_of(task).replace("_", " ")
    if task.usual_head is None:
        raise UserError(f"{kind} is not answered by a head; see docs/tasks.md for what can be done with it")
    if asked is None:
        return plugins.find(Head, task.usual_head)()
    if not asked.serves(task):
        fitting = [name for name in plugins.names(Head) if plugins.find(Head, name).serves(task)]
        raise UserError(
            f"head {plugins.name_of(asked)} cannot answer {kind}; leave it out, or choose: {', '.join(fitting)}"
        )
    return asked


def label_numbers(task: Task, labels: Sequence[Any]) -> np.ndarray:
    """int64 [N]: the class number of each label, -1 for none and for one that training never saw."""
    number = {name: i for i, name in enumerate(labels_of(task))}
    return np.array([number.get(label, -1) for label in labels], dtype=np.int64)
