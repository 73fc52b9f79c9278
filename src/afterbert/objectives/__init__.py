"""Objectives: a pretext (numpy) with its heads and score (torch). The trainer knows only this interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.heads import HEADS
from afterbert.models import Architecture
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.store import Split

#: The names of the heads that a saved model may hold beside its backbone.
SAVED_HEADS = tuple(HEADS)


@dataclass(frozen=True)
class Batch:
    """One micro-batch, ready for a model: named arrays, and what the trainer must know before any forward pass.

    arrays: name -> array, moved to the device as they are. counts: part of the score -> how many things it sums
    over. num_tokens: pieces the model reads, padding excluded. row_keys: uint64 [B], to name the rows in a
    diagnosis.
    """

    arrays: Mapping[str, np.ndarray]
    counts: Mapping[str, int]
    num_tokens: int
    row_keys: np.ndarray


class ObjectiveModule(nn.Module, ABC):
    """Backbone and heads. `backbone` is what is saved as the model; everything else is the objective's own.

    `loss_weights`: part -> weight. Called with a batch's arrays as tensors it returns part -> *sum* of the
    score (a float32 scalar tensor): the trainer divides by the counts it has added up over the whole step,
    so 1 x 32 rows and 4 x 8 rows are the same step.
    """

    backbone: nn.Module
    loss_weights: Mapping[str, float]

    @abstractmethod
    def forward(self, arrays: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Part -> summed score, for every part of `loss_weights` that the batch counts; 0 where nothing is
        asked."""

    def before_passes(self, counts: Mapping[str, int]) -> None:
        """Called before the passes of a training step, with what the whole step counts in all processes: the place
        for what must happen in all of them at once, whatever each one's own batches ask."""

    def measure(self, arrays: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, int]]:
        """Measure -> (sum, count), such as right guesses and guesses; called without gradients on held-out
        rows."""
        return {}

    @property
    def saved_heads(self) -> dict[str, nn.Module]:
        """Those of `SAVED_HEADS` that this objective has trained, by name: what `model/` may hold beside
        `backbone`."""
        found = {name: getattr(self, name, None) for name in SAVED_HEADS}
        return {name: head for name, head in found.items() if isinstance(head, nn.Module)}


class Objective(ABC):
    """A training task as a frozen config."""

    @abstractmethod
    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        """The rows of one view of a split, so that the model reads at most `length` pieces a row."""

    @abstractmethod
    def pose(
        self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int
    ) -> Batch:
        """Rows `numbers` [B] of the plan as a batch; a pure function of its arguments."""

    @abstractmethod
    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        """Backbone and heads with fresh weights. Raises UserError when tokenizer and task do not fit."""

    def build_on(
        self, backbone: nn.Module, architecture: Architecture, vocabulary: Vocabulary
    ) -> ObjectiveModule:
        """Fresh heads on a backbone that is there already and may serve other objectives too. Raises
        UserError from an objective that must have it alone."""
        raise UserError(
            f"objective {name_of(self)} cannot share its model with others; train it alone, or take it out of "
            "the mixture"
        )

    def pieces_per_row(self, length: int) -> float:
        """How many pieces of text, special ones included, a row takes on average where documents are long, so that
        the model reads (or writes) at most `length` of them: T5's spans of 512 take 569."""
        return float(length)

    def check(self, architecture: Architecture) -> None:  # noqa: B027
        """Raises UserError when this architecture cannot be asked this; called when a recipe is read."""

    def check_feed(self, architecture: Architecture, *, order: str, views: int | None) -> None:  # noqa: B027
        """Raises UserError when rows in this order, or so many views of them (None: ever new ones), are not
        what the task needs; called when a recipe is read, with `training.order` and `training.views`."""

    def begin(self, module: ObjectiveModule, split: Split) -> None:  # noqa: B027
        """Anything fresh weights may learn from counting the training split, before the first step."""
