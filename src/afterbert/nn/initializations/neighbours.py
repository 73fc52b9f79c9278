"""As `normal`, and some heads of the lowest layers start by looking at the pieces beside.

A small masked model spends its first minutes guessing by frequency alone, until a head has found the neighbours by
chance. Here it need not find them. All token vectors start with one direction in common, from which queries and keys
of these heads make the same two vectors at every place; turned by rotary positions, their product is largest at one
distance. It is a start only: training may move everything, and the weights are those of a plain model. Logits of a
head that is tied to the table do not change, since what all pieces have in common drops out of the softmax.
Of this project; measured in docs/log.md. Near: the heads that trained models form for the pieces before and after
(Voita et al. 2019, 1905.09418, Section 5.1, "positional heads").
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.numbers import Positive
from afterbert.nn.attention import SelfAttention
from afterbert.nn.embeddings import EmbeddingsModule
from afterbert.nn.initializations.normal import Normal


@dataclass(frozen=True)
class Neighbours(Normal):
    """Draws weights so that the first heads of low layers look at neighbouring pieces."""

    offsets: tuple[tuple[int, ...], ...] = ((-1, 1, -2, 2), (-1, 1, -2, 2))
    """For each layer from the lowest, the distances (key minus query) at which its first heads look. Other heads and
    layers are drawn as usual, and all of them if embeddings are narrower than the layers: what vectors have in common
    does not reach attention there."""
    sharpness: Positive = 2.0
    """By how much, in nats, a score falls from that distance to the next, roughly."""

    @torch.no_grad()
    def apply(self, module: nn.Module, num_hidden_layers: int) -> None:
        super().apply(module, num_hidden_layers)
        embeddings = [part for part in module.modules() if isinstance(part, EmbeddingsModule)]
        attentions = [part for part in module.modules() if isinstance(part, SelfAttention)]
        if not embeddings or not attentions:
            return  # a head beside the backbone
        table = embeddings[0].table.weight
        if attentions[0].qkv.in_features != table.shape[1]:
            return
        starts = [pair for pair in zip(attentions, self.offsets) if pair[1]]
        if not all(hasattr(attention.positions, "looking") for attention, _ in starts):
            raise UserError("initialization neighbours needs rotary positions; choose initialization: normal")
        if table.is_meta:
            return  # a skeleton
        common = table.new_ones(table.shape[1])
        common[1::2] = -1  # of mean 0, so that a layer norm keeps it
        table.add_(common, alpha=self.initializer_range)
        # what attention reads has variance 1, half of it common: that part is `common` divided by the root of 2
        for attention, offsets in starts:
            for head, offset in enumerate(offsets[: attention.num_heads]):
                self._look(attention, head, offset, common * (math.sqrt(2) / len(common)))

    def _look(self, attention: SelfAttention, head: int, offset: int, reading: Tensor) -> None:
        """Adds to query and key of a head what scores highest `offset` places on. reading [D]: its product with what
        attention reads is 1, noise apart."""
        positions: Any = attention.positions
        query, key = positions.looking(offset, reading)
        size = (self.sharpness / attention.scale) ** 0.5
        for part, vector in ((0, query), (1, key)):
            rows = slice(part * attention.width + head * attention.head_size, None)
            attention.qkv.weight[rows][: attention.head_size].add_(torch.outer(vector, reading), alpha=size)
