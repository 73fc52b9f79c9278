"""Objectives: a pretext with its heads and score. The trainer knows only this interface and `ObjectiveModule`.

An objective is read, drawn and posed in numpy; its module (`modules/`) imports PyTorch, and `build` imports the module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.stages import Stages
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import Posed
from afterbert.pretext.task import Pretext
from afterbert.text.token_store.store import Split

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.objectives.modules import ObjectiveModule


@dataclass(frozen=True)
class Batch:
    """One micro-batch, ready for a model: named arrays, and what the trainer must know before any forward pass.

    arrays: name -> array, moved to the device as they are. counts: part of the score -> how many things it sums over.
    num_tokens: pieces the model reads, padding excluded. row_keys: uint64 [B], to name the rows in a diagnosis.
    """

    arrays: Mapping[str, np.ndarray]
    counts: Mapping[str, int]
    num_tokens: int
    row_keys: np.ndarray


@dataclass(frozen=True)
class PretextTask:
    """One pretext task that an objective poses. plan: cuts the rows that it is posed on; called as `Objective.plan`
    is."""

    pretext: Pretext
    plan: Callable[..., Plan]

    def posed(self, plan: Plan, numbers: np.ndarray, noise: Noise, vocabulary: Vocabulary) -> Posed:
        """Returns the task on the rows `numbers` [B] of its plan."""
        return self.pretext.pose(plan.rows(numbers), noise, vocabulary, plan.labels(numbers))


class Objective(ABC):
    """A training task as a frozen config. To vary one, wrap it (`parts.wrapping`)."""

    from_drawn_weights: ClassVar[str] = ""
    """A note for whoever does not start from a trained model, where the task is meant to go on from one."""

    def pretexts(self) -> Mapping[str, PretextTask]:
        """Returns the pretext tasks that it poses, by name; a single one has the empty name "". Empty if it poses none,
        as a task with labels does."""
        return {}

    def pictured(self) -> Mapping[str, PretextTask | str]:
        """Returns the tasks that a picture of it shows, by name: those it poses, and those that arise only in training
        (what ELECTRA's discriminator reads). A task that no picture of a row can show is told in a sentence."""
        return self.pretexts()

    def plain(self) -> Any:
        """Returns the objective as plain dicts, lists and scalars: a part of what a run is known by."""
        return to_plain(self)

    @abstractmethod
    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        """Returns the rows of one view of a split, so that the model reads at most `length` pieces of a row. An
        objective that brings its own rows (a labelled task) is handed `NoText` and looks at neither."""

    @abstractmethod
    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        """Returns the rows `numbers` [B] of the plan as a batch; a pure function of its arguments."""

    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        """Returns backbone and heads with fresh weights. Raises UserError if tokenizer and task do not fit."""
        from afterbert.objectives.modules import with_ponder_cost

        return with_ponder_cost(self.build_on(architecture.build(vocabulary), architecture, vocabulary))

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        """Returns fresh heads on an existing backbone, which may serve other objectives too. Raises UserError from an
        objective that must have it alone."""
        raise UserError(
            f"objective {name_of(self)} cannot share its model with others; train it alone, or take it out of "
            "the mixture"
        )

    def flops_beside(self, architecture: Architecture, vocab_size: int, length: int) -> float:
        """Returns the floating-point operations of a forward pass, for each piece, on models beside the backbone
        (ELECTRA's generator)."""
        return 0.0

    # Not abstract: most objectives have nothing to refuse, to count or to divide.
    def check(self, architecture: Architecture) -> None:
        """Raises UserError if this architecture cannot be asked this; called when a recipe is read."""

    def check_feed(self, architecture: Architecture, *, order: str, views: int | None) -> None:
        """Raises UserError when rows in this order, or so many views of them (None: ever new ones), are not
        what the task needs; called when a recipe is read, with `training.order` and `training.views`."""

    def course(self) -> tuple[Stages, ...]:
        """Lists the stages that the task goes through, each for a share of the run; the noise's `progress` says
        which."""
        return ()

    def check_shards(self) -> None:
        """Raises UserError if several processes cannot hold the model in shards while they train this task."""

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        """Sets what fresh weights may learn from counting the training split, before the first step."""
