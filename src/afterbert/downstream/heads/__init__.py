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
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.posing.prepared import Prepared
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Task, labels_of
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.task_class import Answering
from afterbert.models import Backbone, Summary

#: What a head's module gives for each row [R].
Outputs = Sequence[np.ndarray]


@dataclass(frozen=True)
class Footing:
    """The model on which the weights of a head are built."""

    model: LoadedModel
    summary: Summary
    """The piece that speaks for a row."""
    class_weights: np.ndarray | None = None
    """How much each class weighs in the loss; None if all weigh alike."""


class HeadModule(nn.Module, ABC):
    """The weights of a head. `arrays` are those of a batch that the head's `prepare` has made. writes: whether it
    answers with a text, through the language model's own head."""

    writes: ClassVar[bool] = False

    def wanted(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """Returns the flat places [N] of [B, T] whose states it reads, when it reads only some. It is then given only
        those [N, D]."""
        return None

    @abstractmethod
    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns the summed loss (float32 scalar) from hidden states [B, T, D]."""

    @property
    def last_layer(self) -> nn.Linear | None:
        """The layer that tells each row's class, or number, if one does; `labels` of a batch say the right ones."""
        return None

    def attach(self, backbone: Backbone, lm_head: nn.Module) -> None:
        """Hands over what heads that write share with the model; called once, before anything else."""

    @abstractmethod
    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Computes what predictions are read from, [B, ...] or [B, T, ...]."""

    def logits(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Computes what it says to all that the batch asks: [N, ..., K], of which a softmax over K makes shares, or
        [N, 1] where a number is asked."""
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
        """Returns whether the head can answer this kind of task."""
        return task.answer in cls.answers

    def settled(self, model: LoadedModel, name: str) -> Head:
        """Gives the same head with nothing left open for the task `name` on this model. Raises UserError if they do not
        go together."""
        return self

    @abstractmethod
    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        """Returns all examples as rows. Examples without a label, or with an unknown label, ask nothing."""

    @abstractmethod
    def build(self, task: Task, on: Footing) -> HeadModule:
        """Returns a module with fresh weights (except for a pre-trained pooler where the head has one)."""

    def chooses(self, task: Task) -> bool:
        """Returns whether `calibrated` chooses anything for this task."""
        return False

    def calibrated(self, asked: Prepared, outputs: Outputs) -> Head:
        """Gives the same head with what is chosen on rows that were not trained on, from their outputs; or itself."""
        return self

    def chosen(self, task: Task) -> Mapping[str, Any]:
        """Returns setting -> what `calibrated` chose for it, and under `said` the same in words; empty if nothing."""
        return {}

    def answering(self, task: Task, module: HeadModule) -> Answering | None:
        """Returns the trained layers in the form of a Hugging Face class; None if no class fits."""
        return None

    @abstractmethod
    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        """Returns one prediction for each example given to `prepare`, in terms of its labels, with what else the
        outputs tell: probabilities, places, confidence."""


def head_for(task: Task, asked: Head | None) -> Head:
    """Returns the head asked for when it serves this kind of task, else the usual one. Raises UserError."""
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
    """Returns the class number of each label, int64 [N]; -1 for none and for one that training never saw."""
    number = {name: i for i, name in enumerate(labels_of(task))}
    return np.array([number.get(label, -1) for label in labels], dtype=np.int64)
