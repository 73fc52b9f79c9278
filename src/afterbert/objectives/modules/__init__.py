"""What objectives train: backbone and heads with weights, one objective a file."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import nn

from afterbert.interop.heads import HEADS
from afterbert.interop.sentences import Pooling
from afterbert.models import Backbone, LanguageModel
from afterbert.nn.recurrence import ponder_cost, ponderings
from afterbert.objectives.parts.meaning import Meaning

#: The names of the heads that a saved model may hold beside its backbone.
SAVED_HEADS = tuple(HEADS)


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
        """Returns part -> summed score for every part of `loss_weights` that the batch counts; 0 if nothing is
        asked."""

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
        """The backbone and head that were trained to name pieces, whatever else was; None if none was."""
        return None

    def name_pieces(self, arrays: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Returns logits [N, V] of the language model at the chosen places of any batch; see `Backbone.asked`. Only for
        an objective that has a language model."""
        found = self.language_model
        assert found is not None, "ask for language_model first"
        return found.predict(arrays)

    def meanings(self) -> Mapping[str, Meaning]:
        """Tells what each part of the score and each measure is called, in which unit it comes, and what a guess
        that knows nothing reaches. A key that is absent is called by its own name."""
        return {}

    def beside(self) -> Mapping[str, LanguageModel]:
        """Returns models that training made beside the backbone and that are worth keeping, by the name of their folder
        in `model/` (ELECTRA's generator)."""
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
    """The dimension of what is carried that counts row slots, of which each process has its own; None where it belongs
    to no slot (then process 0's counts)."""

    compares_rows: bool = False
    """Whether the score of a row depends on the other rows of its batch, so that a step is one micro-batch of one
    process."""

    sentence_pooling: Pooling | None = None
    """How the states of a text become one vector, where the training is about that vector."""

    def carried_state(self) -> Mapping[str, torch.Tensor]:
        """Gives what goes on from step to step and is neither parameter nor buffer (a segment memory). It is handed
        back after a resume, or when a step is undone, so its tensors must not be changed in place."""
        return {}

    def load_carried_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Puts back what `carried_state` gave, on the device of training; nothing before the first step."""

    def use_lm_head(self, lm_head: nn.Module) -> None:
        """Takes this head, which another objective on the same backbone trains too, in place of its own; does nothing
        where it has none."""
        if "lm_head" in self.saved_heads:
            self.add_module("lm_head", lm_head)

    def before_passes(self, counts: Mapping[str, int]) -> None:
        """Prepares a training step, given the counts of the whole step in all processes. It is the place for what must
        happen in all processes at once, whatever their own batches ask."""

    def measure(self, arrays: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, int]]:
        """Returns measure -> (sum, count), such as right guesses and guesses, on held-out rows, without gradients."""
        return {}

    @property
    def saved_heads(self) -> dict[str, nn.Module]:
        """Gives those of `SAVED_HEADS` that this objective has trained, by name: what `model/` may hold beside
        `backbone`. The head of a labelled task is called `head/TASK`."""
        found = {name: getattr(self, name, None) for name in SAVED_HEADS}
        return {name: head for name, head in found.items() if isinstance(head, nn.Module)}


def with_ponder_cost(module: ObjectiveModule) -> ObjectiveModule:
    """Gives the module; where pieces of its backbone may halt early, the steps they take are a part of the score.

    Source: Universal Transformer (1807.03819) Section 2.2, after Graves (1603.08983).
    """
    halting = [part.config.halting for part in ponderings(module.backbone)]
    if halting and halting[0] is not None:
        module.loss_weights = {**module.loss_weights, "ponder": halting[0].ponder_weight}
        module.register_forward_hook(_add_ponder_cost)
    return module


def _add_ponder_cost(module: nn.Module, arrays: tuple, scores: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    assert isinstance(module, ObjectiveModule)
    cost = ponder_cost(module.backbone)
    return scores if cost is None else {**scores, "ponder": cost}
