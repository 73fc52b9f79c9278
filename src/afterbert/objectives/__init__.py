"""Objectives: a pretext (numpy) with its heads and score (torch). The trainer knows only this interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.stages import Stages
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.heads import HEADS
from afterbert.models import Architecture, Backbone, LanguageModel
from afterbert.objectives.parts.meaning import Meaning
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import Posed
from afterbert.pretext.task import Pretext
from afterbert.text.token_store.store import Split

#: The names of the heads that a saved model may hold beside its backbone.
SAVED_HEADS = tuple(HEADS)


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
        """The task on the rows `numbers` [B] of its plan."""
        return self.pretext.pose(plan.rows(numbers), noise, vocabulary, plan.labels(numbers))


class ObjectiveModule(nn.Module, ABC):
    """Backbone and heads. `backbone` is what is saved as the model; everything else is the objective's own.

    Called with a batch's arrays as tensors it returns part -> *sum* of the score (a float32 scalar tensor): the
    trainer divides by the counts it has added up over the whole step, so 1 x 32 rows and 4 x 8 rows are the same
    step. Whoever evaluates a run, draws it, samples from it or wraps its objective asks what stands here, and never
    which class it is.
    """

    backbone: Backbone
    loss_weights: Mapping[str, float]
    """Part of the score -> weight."""

    @abstractmethod
    def forward(self, arrays: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Part -> summed score, for every part of `loss_weights` that the batch counts; 0 where nothing is asked."""

    @abstractmethod
    def predict(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Computes what the heads say to this objective's own batch, with gradients: logits [N, V] where pieces are
        named, [N] or [N, K] where something else is asked ([N, 1]: a number); several answers one behind the other."""

    def answer(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Computes what predictions of labelled rows are read off, [B, ...] for every row of the batch: where a task is
        answered with texts, these are written. Called in evaluation mode, without gradients."""
        return self.predict(arrays)

    @property
    def language_model(self) -> LanguageModel | None:
        """The backbone and head that were trained to name pieces, whatever else was; None where none was."""
        return None

    def name_pieces(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Logits [N, V] of the language model at the chosen places of any batch; see `Backbone.asked`. Only for an
        objective that has one."""
        found = self.language_model
        assert found is not None, "ask for language_model first"
        return found.predict(arrays)

    def meanings(self) -> Mapping[str, Meaning]:
        """Tells what each part of the score and each measure is called, in which unit it comes, and what a guess
        that knows nothing reaches. A key that is absent is called by its own name."""
        return {}

    def beside(self) -> Mapping[str, LanguageModel]:
        """Models that training made besides the backbone and that are worth keeping, by the name of their folder in
        `model/` (ELECTRA's generator)."""
        return {}

    def start_from(self, weights: Mapping[str, Mapping[str, torch.Tensor]]) -> tuple[str, ...]:
        """Puts these states in place of fresh ones: `backbone`, the `saved_heads` such as `lm_head`, and those of
        models `beside` it, such as `generator.backbone`. Returns sentences for the user about what was not there."""
        notes = []
        for name, part in {"backbone": self.backbone, **self.saved_heads}.items():
            if name in weights:
                part.load_state_dict(weights[name])
            elif any(True for _ in part.parameters()):
                words = name.replace("lm_head", "language-model head").replace("_", " ")
                notes.append(f"the weights to start from have no {words}, so it starts fresh")
        return tuple(notes)

    slot_axis: int | None = None

    compares_rows: bool = False
    """Whether the score of a row depends on the other rows of its batch, so that a step is one micro-batch of one
    process."""

    def carried_state(self) -> Mapping[str, torch.Tensor]:
        """Gives what goes on from step to step and is neither parameter nor buffer (a segment memory); see
        `training.checkpoints.snapshot.Carries`."""
        return {}

    def load_carried_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Puts back what `carried_state` gave."""

    def use_lm_head(self, lm_head: nn.Module) -> None:
        """Takes this head, which another objective on the same backbone trains too, in place of its own; does nothing
        where it has none."""
        if "lm_head" in self.saved_heads:
            self.add_module("lm_head", lm_head)

    def before_passes(self, counts: Mapping[str, int]) -> None:
        """Called before the passes of a training step, with what the whole step counts in all processes: the place
        for what must happen in all of them at once, whatever each one's own batches ask."""

    def measure(self, arrays: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, int]]:
        """Measure -> (sum, count), such as right guesses and guesses; called without gradients on held-out rows."""
        return {}

    @property
    def saved_heads(self) -> dict[str, nn.Module]:
        """Gives those of `SAVED_HEADS` that this objective has trained, by name: what `model/` may hold beside
        `backbone`. The head of a labelled task is called `head/TASK`."""
        found = {name: getattr(self, name, None) for name in SAVED_HEADS}
        return {name: head for name, head in found.items() if isinstance(head, nn.Module)}


class Objective(ABC):
    """A training task as a frozen config. To vary one, wrap it (`parts.wrapping`)."""

    def pretexts(self) -> Mapping[str, PretextTask]:
        """The pretext tasks that it poses, by name; a single one is called "" (nothing). Empty where none is posed,
        as by a task with labels."""
        return {}

    def pictured(self) -> Mapping[str, PretextTask | str]:
        """The tasks that a picture of it shows, by name: those it poses, and those that come of them only in training
        (what ELECTRA's discriminator reads). One that no picture of a row can show is a sentence."""
        return self.pretexts()

    def plain(self) -> Any:
        """What it is, as plain dicts, lists and scalars: a part of what a run is known by."""
        return to_plain(self)

    @abstractmethod
    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        """The rows of one view of a split, so that the model reads at most `length` pieces a row. An objective that
        brings rows of its own (a labelled task) is handed `NoText` and looks at neither of both."""

    @abstractmethod
    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        """Rows `numbers` [B] of the plan as a batch; a pure function of its arguments."""

    @abstractmethod
    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        """Backbone and heads with fresh weights. Raises UserError when tokenizer and task do not fit."""

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        """Fresh heads on a backbone that is there already and may serve other objectives too. Raises
        UserError from an objective that must have it alone."""
        raise UserError(
            f"objective {name_of(self)} cannot share its model with others; train it alone, or take it out of "
            "the mixture"
        )

    def flops_beside(self, architecture: Architecture, vocab_size: int, length: int) -> float:
        """How many floating-point operations a forward pass spends, for each piece, on models beside the backbone
        (ELECTRA's generator)."""
        return 0.0

    def pieces_per_row(self, length: int) -> float:
        """How many pieces of text, special ones included, a row takes on average where documents are long, so that
        the model reads (or writes) at most `length` of them: T5's spans of 512 take 569."""
        return float(length)

    # Not abstract: most objectives have nothing to refuse, to count or to divide.
    def check(self, architecture: Architecture) -> None:
        """Raises UserError when this architecture cannot be asked this; called when a recipe is read."""

    def check_feed(self, architecture: Architecture, *, order: str, views: int | None) -> None:
        """Raises UserError when rows in this order, or so many views of them (None: ever new ones), are not
        what the task needs; called when a recipe is read, with `training.order` and `training.views`."""

    def course(self) -> tuple[Stages, ...]:
        """Gives the stages that it goes through, each for a share of the run, told by the noise's `progress`."""
        return ()

    def check_shards(self) -> None:
        """Raises UserError where several processes cannot hold the model in shards while they train this task."""

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        """Anything fresh weights may learn from counting the training split, before the first step."""
