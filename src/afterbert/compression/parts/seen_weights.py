"""A model learns while it computes with other weights than it keeps: pruned ones, or rounded ones.

The gradient goes through the change as if it were none (straight-through estimator, Bengio et al. 1308.3432), so a
weight that is seen as 0 today may be wanted again tomorrow.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor
from torch.func import functional_call

from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch
from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingModule, WrappingObjective
from afterbert.pretext.pairings import Plan


@dataclass(frozen=True)
class ToldProgress(WrappingObjective, ABC):
    """Batches tell how much of the run lies behind: `progress`, float32 [1], from 0 to 1."""

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        batch = self.inner.pose(plan, numbers, noise, vocabulary=vocabulary, length=length)
        return replace(batch, arrays={**batch.arrays, "progress": np.full(1, noise.progress, dtype=np.float32)})


class SeenWeights(WrappingModule, ABC):
    """Around a task: its backbone computes with what `seen` makes of the matrices `names`."""

    def __init__(self, inner: ObjectiveModule, names: Sequence[str]):
        super().__init__(inner)
        self.names = tuple(names)

    @abstractmethod
    def seen(self, number: int, weight: Tensor, progress: float) -> Tensor:
        """What is computed with in place of the matrix `names[number]`, with a gradient for it."""

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        progress = float(arrays["progress"][0])
        weights = dict(self.backbone.named_parameters())
        mine = {f"backbone.{name}": self.seen(n, weights[name], progress) for n, name in enumerate(self.names)}
        return functional_call(self.inner, mine, (arrays,))


def linear_weights(state: Mapping[str, Tensor]) -> list[str]:
    """The names of the matrices by which layers multiply: those of the stack, without tables of vectors."""
    return sorted(name for name, one in state.items() if one.dim() == 2 and name.startswith("stack."))
