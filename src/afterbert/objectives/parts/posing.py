"""What objectives that pose one pretext task have in common: rows are planned, the task is posed on them, and only then
do they differ."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from afterbert.base.noise import Noise
from afterbert.base.stages import Stages
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone
from afterbert.nn.recurrence import extra_scores, ponderings
from afterbert.objectives import Batch, Objective, ObjectiveModule, PretextTask
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import Posed
from afterbert.pretext.task import Pretext
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class PretextObjective(Objective):
    """pretext: the four questions."""

    pretext: Pretext

    def pretexts(self) -> Mapping[str, PretextTask]:
        return {"": PretextTask(self.pretext, self.plan)}

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        return self.pretext.pairing.plan(split, length=self.row_length(length), vocabulary=vocabulary, noise=noise)

    def row_length(self, length: int) -> int:
        """How long to plan the rows, special pieces included, so that the model reads at most `length` of each.
        Raises UserError when nothing fits."""
        return self.pretext.row_length(length)

    def pieces_per_row(self, length: int) -> float:
        return self.pretext.pairing.expected_length(self.row_length(length))

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        posed = self.pretext.pose(plan.rows(numbers), noise, vocabulary, plan.labels(numbers))
        batch = self.batch(posed, noise, vocabulary=vocabulary, length=length)
        return replace(batch, counts={**batch.counts, "ponder": batch.num_tokens})

    @abstractmethod
    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        """The posed task as arrays. A pure function of its arguments."""

    def course(self) -> tuple[Stages, ...]:
        found = [edit.selection.course for edit in self.pretext.edits]
        return tuple(stages for stages in found if stages is not None)

    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        return with_ponder_cost(self.build_on(architecture.build(vocabulary), architecture, vocabulary))

    @abstractmethod
    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        """Fresh heads on this backbone."""


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
    return scores | {name: total for name, (total, _) in extra_scores(module.backbone).items()}
