"""A learned number for each head and bucket of distances is added to the scores; one table for all layers.

Source: T5 (1910.10683), Section 2.1, and its code. Near distances have a bucket each, farther ones share buckets that
widen with the logarithm of the distance, up to `max_distance`, beyond which all fall in the last.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.nn.positions import Positions
from afterbert.nn.sizes import Sizes


@dataclass(frozen=True)
class RelativeBias(Positions):
    """T5's bias by distance. Where attention looks both ways, each way has half of the buckets. Keys as in Hugging
    Face's t5, without `relative_attention_`."""

    num_buckets: Annotated[int, Field(ge=4)] = 32
    max_distance: Annotated[int, Field(gt=1)] = 128

    def __post_init__(self) -> None:
        if self.num_buckets % 2 or self.max_distance <= self.num_buckets // 2:
            raise UserError(
                f"relative_bias has {self.num_buckets} buckets up to distance {self.max_distance}; choose an even "
                "number of buckets, and a distance above half of them"
            )

    def build_shared(self, sizes: Sizes, head_size: int, *, is_causal: bool) -> nn.Module:
        return BucketBias(self, sizes, is_causal=is_causal)

    def build_layer(self, sizes: Sizes, head_size: int, scale: float) -> nn.Module:
        return _Added()


class BucketBias(nn.Module):
    """From positions to what is added to the scores, [B or 1, H, U, T]."""

    def __init__(self, config: RelativeBias, sizes: Sizes, *, is_causal: bool):
        super().__init__()
        self.config, self.is_causal, self.hidden_size = config, is_causal, sizes.hidden_size
        self.table = nn.Embedding(config.num_buckets, sizes.num_attention_heads)

    def forward(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        ahead = key_positions[:, None, :] - query_positions[:, :, None]
        found = buckets(ahead, self.config.num_buckets, self.config.max_distance, looks_both_ways=not self.is_causal)
        return self.table(found).permute(0, 3, 1, 2)


class _Added(nn.Module):
    def forward(self, query: Tensor, key: Tensor, shared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return query, key, shared


def buckets(ahead: Tensor, num_buckets: int, max_distance: int, *, looks_both_ways: bool) -> Tensor:
    """Returns the bucket [...] of each distance [...] (key position minus query position).

    >>> ahead = torch.tensor([-20, -3, -1, 0, 1, 3, 20])
    >>> buckets(ahead, 8, 16, looks_both_ways=True).tolist()
    [3, 2, 1, 0, 5, 6, 7]
    >>> buckets(ahead, 8, 16, looks_both_ways=False).tolist()
    [7, 3, 1, 0, 0, 0, 0]
    """
    side = num_buckets // 2 if looks_both_ways else num_buckets
    beginning = (ahead > 0) * side if looks_both_ways else torch.zeros_like(ahead)
    distance = ahead.abs() if looks_both_ways else (-ahead).clamp(min=0)
    exact = side // 2
    # the logarithm of 0 is only ever computed where it is not used
    widening = torch.log(distance.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (side - exact)
    far = (exact + widening.long()).clamp(max=side - 1)
    return beginning + torch.where(distance < exact, distance, far)
