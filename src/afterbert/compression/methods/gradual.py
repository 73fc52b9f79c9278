"""Weights are pruned little by little while the model learns its task: the smallest ones, or those that move to zero.

Sources: Zhu and Gupta (1710.01878, Equation 1): the share that is 0 grows by a cubic law; Sanh et al. (2005.07683,
Section 4): movement pruning keeps, of each matrix, the weights whose learned scores are highest; a score's gradient is
that of the masked weight times the weight. The file is as large as before; what a sparse one would take is told beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.compression.methods import Setting
from afterbert.compression.methods._training import TrainingMethod
from afterbert.compression.parts.seen_weights import SeenWeights, linear_weights
from afterbert.compression.subject import Subject
from afterbert.compression.training_again import with_zeros
from afterbert.models import Architecture
from afterbert.objectives import Batch, Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingObjective
from afterbert.pretext.pairings import Plan

Score = Literal["magnitude", "movement"]
# Of the run: until here nothing is pruned, from there on nothing more is (2005.07683, Appendix A.1, in shares).
_FIRST, _LAST = 0.1, 0.7


@dataclass(frozen=True)
class Gradual(TrainingMethod):
    """Learns the task while ever more weights become 0."""

    saves = frozenset(("nonzero",))
    at_zero = "sparsity=0.0"
    trains = False

    sparsity: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of each matrix of the layers that is 0 at the end."""
    by: Score = "magnitude"
    """Which go: those nearest to zero, or those that training moves towards zero, which takes thousands of
    steps to tell."""

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        return super().__call__(subject, setting) if self.sparsity else subject

    def around(self, objective: Objective, subject: Subject, setting: Setting) -> Objective:
        return Pruned(objective, tuple(linear_weights(subject.backbone)), self.sparsity, self.by)

    def finished(self, subject: Subject) -> Subject:
        names = linear_weights(subject.backbone)
        return with_zeros(subject, {name: mask(subject.backbone[name].abs(), self.sparsity) for name in names})


def pruned_share(final: float, progress: float) -> float:
    """Returns the share of weights that is 0 at a moment of the run.

    >>> pruned_share(0.8, 0.0), pruned_share(0.8, 0.4), pruned_share(0.8, 1.0)
    (0.0, 0.7, 0.8)
    """
    passed = min(1.0, max(0.0, (progress - _FIRST) / (_LAST - _FIRST)))
    return round(final * (1 - (1 - passed) ** 3), 9)


def mask(scores: Tensor, share: float) -> Tensor:
    """Returns a mask of a matrix: 0 for this share of it, where the scores are lowest, else 1. Of equal scores the
    first become 0."""
    count, flat = round(share * scores.numel()), scores.flatten()
    if not count:
        return torch.ones_like(scores)
    highest_gone = flat.kthvalue(count).values
    kept = flat > highest_gone
    too_many = len(flat) - count - int(kept.sum())
    if too_many:  # of the highest that go, the last stay
        kept[(flat == highest_gone).nonzero()[-too_many:, 0]] = True
    return kept.to(scores.dtype).view_as(scores)


@dataclass(frozen=True)
class Pruned(WrappingObjective):
    """The task inside, computed with ever fewer weights. Batches tell how much of the run lies behind: `progress`,
    float32 [1]."""

    names: tuple[str, ...]
    """The matrices of the backbone."""
    sparsity: float
    by: Score

    def wrap(self, inner: ObjectiveModule, architecture: Architecture, vocabulary: Vocabulary) -> PrunedModule:
        return PrunedModule(inner, self.names, self.sparsity, self.by)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        batch = self.inner.pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        return replace(batch, arrays={**batch.arrays, "progress": np.full(1, noise.progress, dtype=np.float32)})


class PrunedModule(SeenWeights):
    """Once no more is pruned, what the scores chose is set to 0, and stays what is smallest."""

    settled: Tensor

    def __init__(self, inner: ObjectiveModule, names: Sequence[str], sparsity: float, by: Score):
        super().__init__(inner, names)
        self.sparsity = sparsity
        weights = dict(inner.backbone.named_parameters())
        shapes = [weights[name].shape for name in self.names] if by == "movement" else []
        self.scores = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)
        self.register_buffer("settled", torch.tensor(not shapes))

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if float(arrays["progress"][0]) >= _LAST and not self.settled:
            weights = dict(self.backbone.named_parameters())
            with torch.no_grad():
                for name, scores in zip(self.names, self.scores):
                    weights[name].mul_(mask(scores, self.sparsity))
                self.settled.fill_(True)
        return super().forward(arrays)

    def seen(self, number: int, weight: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        share = pruned_share(self.sparsity, float(arrays["progress"][0]))
        if self.settled:
            return weight * mask(weight.detach().abs(), share)
        scores = self.scores[number]
        kept = mask(scores.detach(), share)
        # The value is weight * kept; the weight's gradient is masked as in the source, the score's is not.
        return weight * (kept + scores - scores.detach())
