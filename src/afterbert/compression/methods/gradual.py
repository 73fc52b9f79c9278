"""Weights are pruned little by little while the model learns its task: the smallest ones, or those that move to zero.

Sources: Zhu and Gupta (1710.01878, Equation 1): the share that is 0 grows by a cubic law; Sanh et al. (2005.07683,
Section 4): movement pruning keeps, of each matrix, the weights whose learned scores are highest; a score's gradient is
that of the masked weight times the weight. Soft movement keeps those whose score lies above a threshold, and a penalty,
the mean sigmoid of all scores, pulls them down. There the penalty decides alone how many go; here the schedule is a
bound, over all matrices together. The file is as large as before; what a sparse one would take is told beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import NotNegative, ShareBelowOne
from afterbert.base.vocabulary import Vocabulary
from afterbert.compression.methods import Setting
from afterbert.compression.methods._training import TrainingMethod
from afterbert.compression.parts.seen_weights import SeenWeights, linear_weights, mask
from afterbert.compression.subject import Subject
from afterbert.compression.training_again import with_zeros
from afterbert.downstream.finetuning.objective import TaskObjective
from afterbert.downstream.finetuning.settings import usual_learning_rate
from afterbert.models import Architecture
from afterbert.objectives import Batch, Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingObjective
from afterbert.pretext.pairings import Plan

Score = Literal["magnitude", "movement", "soft_movement"]
Soft = tuple[float, float]  # of soft movement: the threshold of scores, and the weight of the penalty
# Of the run: until here nothing is pruned, from there on nothing more is (2005.07683, Appendix A.1, in shares).
_FIRST, _LAST = 0.1, 0.7
# Of the run, at its highest learning rate: so long a score falls to the threshold (in the source's code, where scores
# have a rate of their own, 220 steps of thousands).
_WAY = 0.05


@dataclass(frozen=True)
class Gradual(TrainingMethod):
    """Learns the task while ever more weights become 0."""

    saves = frozenset(("nonzero",))
    at_zero = "sparsity=0.0"
    trains = False

    sparsity: ShareBelowOne = 0.5
    """Share of each matrix of the layers that is 0 at the end; with soft_movement of all together, at most."""
    by: Score = "magnitude"
    """Which go: those nearest to zero, or those that training moves towards zero, which takes thousands of
    steps to tell; soft_movement: of these as many as the penalty brings below a threshold."""
    penalty: NotNegative = 400.0
    """Of soft_movement: the weight, in the loss that is shown, of what pulls scores down. The source's 400 took a small
    model to the most that `sparsity` lets go; less, such as 0.1, leaves more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.by != "soft_movement" and self.penalty != Gradual.penalty:
            raise UserError("penalty has no effect without by=soft_movement; leave it out, or say so")

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        found = super().__call__(subject, setting) if self.sparsity else subject
        for observer in setting.observers if self.by == "soft_movement" else ():
            zeros = torch.cat([(found.backbone[name] == 0).flatten() for name in linear_weights(found.backbone)])
            share = float(zeros.float().mean())
            observer.on_note(f"{share:.1%} of the weights of the layers are 0, of at most {self.sparsity:.1%}")
        return found

    def around(self, objective: Objective, subject: Subject, setting: Setting) -> Objective:
        soft = (0.0, 0.0)
        if self.by == "soft_movement":
            steps = self.steps or self.epochs * sum(cast(TaskObjective, objective).batches.sizes.values())
            rate = self.learning_rate or usual_learning_rate(subject.model.architecture.hidden_size)
            soft = (-_WAY * steps * rate, self.penalty)
        return Pruned(objective, tuple(linear_weights(subject.backbone)), self.sparsity, self.by, soft)

    def finished(self, subject: Subject) -> Subject:
        names = linear_weights(subject.backbone) if self.by != "soft_movement" else []
        return with_zeros(subject, {name: mask(subject.backbone[name].abs(), self.sparsity) for name in names})


def pruned_share(final: float, progress: float) -> float:
    """Returns the share of weights that is 0 at a moment of the run.

    >>> pruned_share(0.8, 0.0), pruned_share(0.8, 0.4), pruned_share(0.8, 1.0)
    (0.0, 0.7, 0.8)
    """
    passed = min(1.0, max(0.0, (progress - _FIRST) / (_LAST - _FIRST)))
    return round(final * (1 - (1 - passed) ** 3), 9)


@dataclass(frozen=True)
class Pruned(WrappingObjective):
    """The task inside, computed with ever fewer weights. Batches tell how much of the run lies behind: `progress`,
    float32 [1]."""

    names: tuple[str, ...]
    """The matrices of the backbone."""
    sparsity: float
    by: Score
    soft: Soft = (0.0, 0.0)

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> PrunedModule:
        return PrunedModule(inner, self.names, self.sparsity, self.by, self.soft)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        batch = self.inner.pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        arrays = {**batch.arrays, "progress": np.full(1, noise.progress, dtype=np.float32)}
        return replace(batch, arrays=arrays, counts={**batch.counts, **({"penalty": 1} if self.soft[1] else {})})


class PrunedModule(SeenWeights):
    """Once no more is pruned, scores learn no more; what they chose is 0 when training is over."""

    settled: Tensor

    def __init__(
        self, inner: ObjectiveModule, names: Sequence[str], sparsity: float, by: Score, soft: Soft = (0.0, 0.0)
    ):
        super().__init__(inner, names)
        self.sparsity, self.by, (self.threshold, penalty) = sparsity, by, soft
        self.loss_weights = {**self.loss_weights, **({"penalty": penalty} if penalty else {})}
        weights = dict(inner.backbone.named_parameters())
        shapes = [weights[name].shape for name in self.names] if by != "magnitude" else []
        self.scores = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        self.register_buffer("settled", torch.tensor(False))

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        progress = float(arrays["progress"][0])
        self.settled.fill_(progress >= _LAST)
        self._kept = self.kept(pruned_share(self.sparsity, progress))
        found = super().forward(arrays)
        if "penalty" in self.loss_weights:
            every = torch.cat([one.flatten() for one in self.scores])
            pulled = (every.detach() if self.settled else every).sigmoid().mean()
            found["penalty"] = pulled * pruned_share(1.0, progress)  # it grows by the same law
        return found

    @torch.no_grad()
    def kept(self, share: float) -> list[Tensor]:
        """Returns the mask of each matrix where this share is to be 0."""
        weights = dict(self.backbone.named_parameters())
        scores = [*self.scores] or [weights[name].abs() for name in self.names]
        if self.by != "soft_movement":
            return [mask(one, share) for one in scores]
        every = torch.cat([one.flatten() for one in scores])
        kept = mask(every, share).masked_fill(every > self.threshold, 1.0).split([one.numel() for one in scores])
        return [part.view_as(one) for part, one in zip(kept, scores)]

    def train(self, mode: bool = True) -> PrunedModule:
        if self.settled:
            weights = dict(self.backbone.named_parameters())
            with torch.no_grad():
                for name, kept in zip(self.names, self.kept(self.sparsity)):
                    weights[name].mul_(kept)
        return super().train(mode)

    def seen(self, number: int, weight: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        if self.by == "magnitude" or self.settled:
            return weight * self._kept[number]
        scores = self.scores[number]
        # The value is weight * kept; the weight's gradient is masked as in the source, the score's is not.
        return weight * (self._kept[number] + scores - scores.detach())
