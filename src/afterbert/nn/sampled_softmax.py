"""Cross-entropy estimated from a sample of the pieces, in which products with the whole table are the dearest part.

Each piece v is drawn with a chance of its own, q(v), independent of the others, and counts 1 / q(v) times in the sum
below the softmax; the target counts once, drawn or not. So the sum is right in the mean (Horvitz and Thompson 1952) and
the cross-entropy a little too low (by Jensen's inequality). Importance sampling of a softmax: Bengio and Senécal 2003
("Quick training of probabilistic neural nets by importance sampling"), for translation Jean et al. 2015 (1412.2007,
Section 3). One sample serves all places of a step. Axes: N places, D width, V pieces, S sampled pieces.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.nn.cross_entropy import linear_cross_entropy


@dataclass(frozen=True)
class SampledPieces:
    """Which pieces a step is scored against. is_drawn: bool [V]; chances: [V]."""

    is_drawn: Tensor
    chances: Tensor

    def score(self, hidden: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        """Returns an estimate of the summed cross-entropy of `hidden table^T + bias` at targets, a float32 scalar.
        hidden: [N, D]; table: [V, D]; bias: [V] or None; targets: int64 [N]."""
        is_asked = self.is_drawn.clone()
        is_asked[targets] = True
        pieces = is_asked.nonzero().squeeze(1)
        places = is_asked.cumsum(0) - 1
        log_weights = torch.where(self.is_drawn, -self.chances.log(), float("-inf"))[pieces]
        rows = F.embedding(pieces, table)
        at_bias = None if bias is None else bias[pieces]
        return linear_cross_entropy(hidden, rows, at_bias, places[targets], log_weights=log_weights)


class Sampler(nn.Module):
    """Draws samples of about so many of V pieces. Its chances are a buffer, so that a run that is gone on with has
    them; all are alike until it is told how often pieces are."""

    chances: Tensor

    def __init__(self, num_pieces: int, size: int):
        super().__init__()
        self.size = size
        self.register_buffer("chances", torch.full((num_pieces,), min(1.0, size / num_pieces)))

    @torch.no_grad()
    def learn(self, counts: Tensor) -> None:
        """Takes chances by the square root of how often pieces are [V], at most 1: frequent ones, which weigh most in
        any softmax, always; and no piece never."""
        roots = (counts.double() + 1).sqrt()
        low, high = 0.0, float(1 / roots.min())
        for _ in range(60):  # the factor at which as many are expected as are asked for, by halving
            factor = (low + high) / 2
            low, high = (factor, high) if float((roots * factor).clamp(max=1).sum()) < self.size else (low, factor)
        self.chances.copy_((roots * high).clamp(max=1))

    def draw(self, key: int) -> SampledPieces | None:
        """Returns the sample of this key (below 2**63), the same on every machine; None where it would be all
        pieces."""
        if self.size >= len(self.chances):
            return None
        numbers = torch.rand(len(self.chances), generator=torch.Generator().manual_seed(key))
        return SampledPieces(numbers.to(self.chances.device) < self.chances, self.chances)
