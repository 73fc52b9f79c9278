"""A model learns while it computes with other weights than it keeps: pruned ones, or rounded ones.

The gradient goes through the change as if it were none (straight-through estimator, Bengio et al. 1308.3432), so a
weight that is seen as 0 today may be wanted again tomorrow.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from afterbert.objectives.modules import ObjectiveModule
from afterbert.objectives.parts.wrapping import WrappingModule


class SeenWeights(WrappingModule, ABC):
    """Around a task: its backbone computes with what `seen` makes of the matrices `names`."""

    def __init__(self, inner: ObjectiveModule, names: Sequence[str]):
        super().__init__(inner)
        self.names = tuple(names)

    @abstractmethod
    def seen(self, number: int, weight: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns the matrix that is used on this batch in place of `names[number]`, with a gradient for it."""

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        weights = dict(self.backbone.named_parameters())
        mine = {f"backbone.{name}": self.seen(n, weights[name], arrays) for n, name in enumerate(self.names)}
        return functional_call(self.inner, mine, (arrays,))


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


def linear_weights(state: Mapping[str, Tensor]) -> list[str]:
    """Returns the names of the matrices by which the layers of the stack multiply, without tables of vectors."""
    return sorted(name for name, one in state.items() if one.dim() == 2 and name.startswith("stack."))
