"""Multi-head attention. Source: Vaswani et al. (1706.03762), Section 3.2.

Query, key and value come from one packed layer [q | k | v]: one product in place of three; families that keep
them apart are cut at export. Axes: B batch, H heads, T keys, U queries, K head width, D hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from afterbert.base.numbers import Count
from afterbert.nn.dropout import dropped
from afterbert.nn.low_rank import project
from afterbert.nn.places import RowPlaces, at_places
from afterbert.nn.positions import Positions
from afterbert.nn.positions.none import NoPositions
from afterbert.nn.recording import Attended
from afterbert.nn.sizes import Sizes
from afterbert.nn.visibility import Visible

KeyValue = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Surroundings:
    """Everything that the attentions of a stack need besides hidden states; made once a forward pass.

    places: what the positions' shared half returned; segments_differ: bool [B, U, T], for relative segments;
    with_past: from keys and values of these pieces to those of all that were read; wanted: flat places [N] of
    the queries whose result is wanted, None for all; wanted_by_row: the same places where the queries are these
    only, for which `visible` and `places` are made then; keep: who records attention, None for nobody.
    """

    visible: Visible
    places: Any = None
    segments_differ: Tensor | None = None
    with_past: Callable[[KeyValue], KeyValue] | None = None
    wanted: Tensor | None = None
    wanted_by_row: RowPlaces | None = None
    keep: Callable[[Attended], None] | None = None


class RelativeSegments(nn.Module):
    """Adds to a score whether two pieces stand in the same segment: `(q + b) s`, with one s for same and one for
    different. It works for any number of segments. Source: XLNet (1906.08237), Section 2.5."""

    def __init__(self, sizes: Sizes, head_size: int, scale: float):
        super().__init__()
        self.shape, self.scale = (sizes.num_attention_heads, head_size), scale
        self.table = nn.Embedding(2, sizes.num_attention_heads * head_size)
        self.bias = nn.Parameter(torch.zeros(self.shape))

    def forward(self, query: Tensor, differs: Tensor) -> Tensor:
        """Returns numbers [B, H, U, T] to be added to the scores, from scaled queries [B, H, U, K] and whether segments
        differ, bool [B, U, T]."""
        same, different = self.table.weight.view(2, *self.shape, 1)
        query = query + self.bias[:, None] * self.scale
        return torch.where(differs[:, None], query @ different, query @ same)


@dataclass(frozen=True)
class Attention:
    """Multi-head attention."""

    bias: bool = True
    """Whether all four linear layers have a bias."""
    head_size: Count | None = None
    """K, if it is not hidden_size / heads (T5)."""
    is_scaled: bool = True
    """Whether queries are multiplied by K**-0.5 (not in T5)."""
    positions: Positions = NoPositions()
    has_relative_segments: bool = False
    """Whether scores know that two pieces share a segment (XLNet)."""

    def build(self, sizes: Sizes) -> SelfAttention:
        return SelfAttention(self, sizes)

    def across(self) -> Attention:
        """Returns the attention from a decoder to an encoder that belongs to this one; it knows neither positions nor
        segments."""
        return replace(self, positions=NoPositions(), has_relative_segments=False)

    def build_shared_positions(self, sizes: Sizes, *, is_causal: bool) -> nn.Module:
        return self.positions.build_shared(sizes, sizes.head_size(self.head_size), is_causal=is_causal)

    def width(self, sizes: Sizes) -> int:
        """Returns h * K: the width of all heads together."""
        return sizes.num_attention_heads * sizes.head_size(self.head_size)

    def num_weights(self, sizes: Sizes) -> int:
        """Entries of the four projections."""
        return 4 * sizes.hidden_size * self.width(sizes)

    def flops_per_token(self, sizes: Sizes, length: int) -> float:
        """Projections, two products of `length` x K a head, and what the positions add."""
        places = self.positions.flops_per_token(sizes, sizes.head_size(self.head_size), length)
        return 2.0 * self.num_weights(sizes) + 4.0 * length * self.width(sizes) + places


class SelfAttention(nn.Module):
    """From hidden [B, U, D] and Surroundings to [B, U, D], or [N, D] where only some places are wanted. Keys and values
    are of the same pieces, or those handed in: of an encoder, or of a memory and the content stream."""

    def __init__(self, config: Attention, sizes: Sizes):
        super().__init__()
        self.hidden_matrices = {"qkv": 3, "output": 1}
        self.num_heads, self.head_size = sizes.num_attention_heads, sizes.head_size(config.head_size)
        self.width = config.width(sizes)
        self.scale = self.head_size**-0.5 if config.is_scaled else 1.0
        self.qkv = nn.Linear(sizes.hidden_size, 3 * self.width, bias=config.bias)
        self.output = nn.Linear(self.width, sizes.hidden_size, bias=config.bias)
        self.positions = config.positions.build_layer(sizes, self.head_size, self.scale)
        self.segments = RelativeSegments(sizes, self.head_size, self.scale) if config.has_relative_segments else None
        self.dropout_rate = sizes.attention_probs_dropout_prob

    def forward(self, hidden: Tensor, around: Surroundings, key_value: KeyValue | None = None) -> Tensor:
        by_row, kept = around.wanted_by_row, around.wanted
        if by_row is not None:
            kept = by_row.slots
            (query,), (key, value) = self._project(by_row.of(hidden), 0, 1), self._project(hidden, 1, 3)
        elif key_value is None:
            query, key, value = self._heads(self.qkv(hidden), 3)
            if around.with_past is not None:
                key, value = around.with_past((key, value))
        else:
            (query,), (key, value) = self._project(hidden, 0, 1), key_value
        query = query * self.scale
        segments = None
        if self.segments is not None and around.segments_differ is not None:
            segments = self.segments(query, around.segments_differ)
        query, key, bias = self.positions(query, key, around.places)
        if segments is not None:
            bias = segments if bias is None else bias + segments
        rate = self.dropout_rate if self.training else 0.0
        mixed = attend(query, key, value, visible=around.visible, bias=bias, dropout_rate=rate, keep=around.keep)
        return self.output(at_places(mixed.transpose(1, 2).flatten(2), kept))

    def keys_and_values(self, hidden: Tensor) -> KeyValue:
        """Returns keys and values [B, H, T, K] of other pieces, hidden [B, T, D]."""
        key, value = self._project(hidden, 1, 3)
        return key, value

    def _project(self, hidden: Tensor, first: int, end: int) -> tuple[Tensor, ...]:
        """Some of query, key and value only."""
        rows = slice(first * self.width, end * self.width)
        return self._heads(project(self.qkv, hidden, rows), end - first)

    def _heads(self, packed: Tensor, parts: int) -> tuple[Tensor, ...]:
        packed = packed.view(*packed.shape[:2], parts, self.num_heads, self.head_size)
        if packed.requires_grad and not torch.compiler.is_compiling():
            apart: tuple[Tensor, ...] = _Apart.apply(packed)
            return apart
        return packed.permute(2, 0, 3, 1, 4).unbind(0)


class _Apart(torch.autograd.Function):
    """The parts of packed [B, T, parts, H, K], each [B, H, T, K]. Their gradients are written once into their place;
    torch's own derivatives join them first and put them in order after."""

    @staticmethod
    def forward(ctx: Any, packed: Tensor) -> tuple[Tensor, ...]:
        ctx.shape = packed.shape
        return packed.permute(2, 0, 3, 1, 4).unbind(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        packed = gradients[0].new_empty(ctx.shape)
        for part, gradient in enumerate(gradients):
            packed[:, :, part].copy_(gradient.transpose(1, 2))
        return packed


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    visible: Visible,
    bias: Tensor | None = None,
    dropout_rate: float = 0.0,
    keep: Callable[[Attended], None] | None = None,
) -> Tensor:
    """Returns values [B, H, U, K] mixed by softmax(query key^T + bias); queries [B, H, U, K] are already scaled, keys
    and values are [B, H, T, K].

    On an accelerator PyTorch's fused kernel, and on CPU for float32 without dropout or bias: as fast at length
    128, 1.1 to 1.3 times as fast at 512, and no scores are kept. Else, on CPU, two batched products and a
    softmax, which in bfloat16 train 1.36 times as fast as its kernel (hidden 128, length 128, 2 cores). keep: told all
    of it, which is then always computed in those steps.
    """
    sighted = visible.sighted()
    if keep is None and (query.is_cuda or (query.dtype == torch.float32 and bias is None and not dropout_rate)):
        mixed = fused(query, key, value, visible, bias, dropout_rate)
        return mixed if sighted is None else mixed * sighted
    scores = attention_scores(query, key, visible=visible, bias=bias)
    weights = torch.softmax(scores, dim=-1)
    weights = weights if sighted is None else weights * sighted
    mixed = (dropped(weights, dropout_rate) if dropout_rate else weights).to(value.dtype) @ value
    if keep is not None:
        keep(Attended(query, key, value, scores, weights, mixed))
    return mixed


def fused(
    query: Tensor, key: Tensor, value: Tensor, visible: Visible, bias: Tensor | None, dropout_rate: float
) -> Tensor:
    """Computes the same mixture by PyTorch's fused kernel."""
    mask = visible.may_attend
    if bias is not None:
        added = visible.as_added(query.dtype)
        mask = bias.to(query.dtype) if added is None else bias.to(query.dtype) + added
    elif visible.may_be_blind:
        # a row of nothing but False is undefined in some kernels; here such rows see everything
        mask = visible.as_added(query.dtype)
    is_causal = visible.is_causal and bias is None
    return F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout_rate, is_causal=is_causal, scale=1.0
    )


def attention_scores(query: Tensor, key: Tensor, *, visible: Visible, bias: Tensor | None = None) -> Tensor:
    """Returns the scores before the softmax, [B, H, U, T]; invisible ones have the lowest number."""
    scores = query @ key.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    added = visible.as_added(scores.dtype)
    return scores if added is None else scores + added
