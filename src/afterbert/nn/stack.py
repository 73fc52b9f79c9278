"""A stack of layers: which parts stand in it, which layers share them, and which look only near.

A layer is an attention part and a feed-forward part, each with its norm and residual. The stack keeps both as
lists of *distinct* parts, and the sharing plan says which layer uses which: so no weight has two names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.nn.attention import Attention, Surroundings
from afterbert.nn.feed_forwards import FeedForward
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.norms import Norm
from afterbert.nn.positions import Positions
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals import Residual
from afterbert.nn.residuals.post_norm import PostNorm
from afterbert.nn.sharing import Sharing
from afterbert.nn.sharing.none import NoSharing
from afterbert.nn.sizes import Sizes
from afterbert.nn.visibility import PaddedVisibility, visible

LayerType = Literal["full_attention", "sliding_attention"]


@dataclass(frozen=True)
class Windows:
    """Some layers look only near. Source: ModernBERT (2412.13663), Section 2.1.2.

    local_attention: width of the window, half on each side; layer_types: repeated over the layers; positions:
    of the near-sighted layers.
    """

    local_attention: Annotated[int, Field(gt=1)] = 128
    layer_types: tuple[LayerType, ...] = ("full_attention", "sliding_attention", "sliding_attention")
    positions: Positions = Rotary(theta=10_000.0)

    def __post_init__(self) -> None:
        if not self.layer_types:
            raise UserError(
                "windows.layer_types is empty; name at least one of full_attention, sliding_attention"
            )


@dataclass(frozen=True)
class Stack:
    attention: Attention = Attention()
    feed_forward: FeedForward = Plain()
    residual: Residual = PostNorm()
    sharing: Sharing = NoSharing()
    windows: Windows | None = None

    def build(self, sizes: Sizes, norm: Norm) -> StackModule:
        return StackModule(self, sizes, norm)

    def num_parameters(self, sizes: Sizes, norm: Norm) -> int:
        plan = self.sharing.plan(sizes.num_hidden_layers)
        attentions, feed_forwards = len(set(plan.attention)), len(set(plan.feed_forward))
        at_norm, width = norm.num_parameters(sizes.hidden_size), sizes.hidden_size
        first, final = self.residual.first_norm(norm), self.residual.final_norm(norm)
        places = self.attention.positions.num_shared_parameters(
            sizes.num_attention_heads, sizes.head_size(self.attention.head_size)
        )
        return (
            attentions * (self.attention.num_parameters(sizes) + at_norm)
            + feed_forwards * (self.feed_forward.num_parameters(width, sizes.intermediate_size) + at_norm)
            + (first.num_parameters(width) - at_norm)
            + final.num_parameters(width)
            + places
        )

    def flops_per_token(self, sizes: Sizes, length: int) -> float:
        """Of one forward pass: twice the matrices' entries, and two products of `length` x K a head. Windows
        are counted as full attention, because no kernel here skips the hidden part."""
        weights = self.attention.num_weights(sizes) + self.feed_forward.num_weights(
            sizes.hidden_size, sizes.intermediate_size
        )
        products = 4.0 * length * self.attention.width(sizes)
        return sizes.num_hidden_layers * (2.0 * weights + products)

    def layer_types(self, num_hidden_layers: int) -> tuple[LayerType, ...]:
        """The kind of each layer."""
        pattern: tuple[LayerType, ...] = self.windows.layer_types if self.windows else ("full_attention",)
        return tuple(pattern[layer % len(pattern)] for layer in range(num_hidden_layers))


class StackModule(nn.Module):
    """From hidden [B, T, D] to [B, T, D]."""

    def __init__(self, config: Stack, sizes: Sizes, norm: Norm):
        super().__init__()
        self.plan = config.sharing.plan(sizes.num_hidden_layers)
        self.layer_types = config.layer_types(sizes.num_hidden_layers)
        self.window = config.windows.local_attention // 2 if config.windows else None
        self.attention, self.feed_forward = nn.ModuleList(), nn.ModuleList()
        for number in range(len(set(self.plan.attention))):
            at_norm = config.residual.first_norm(norm) if number == 0 else norm
            self.attention.append(
                config.residual.build(
                    config.attention.build(sizes), at_norm.build(sizes.hidden_size), sizes.hidden_dropout_prob
                )
            )
        for _ in set(self.plan.feed_forward):
            inner = config.feed_forward.build(sizes.hidden_size, sizes.intermediate_size)
            self.feed_forward.append(
                config.residual.build(inner, norm.build(sizes.hidden_size), sizes.hidden_dropout_prob)
            )
        self.final_norm = config.residual.final_norm(norm).build(sizes.hidden_size)
        self.positions = nn.ModuleDict({"full_attention": config.attention.build_shared_positions(sizes)})
        if config.windows:
            self.positions["sliding_attention"] = config.windows.positions.build_shared(
                sizes.num_attention_heads, sizes.head_size(config.attention.head_size)
            )

    def forward(self, hidden: Tensor, visibility: PaddedVisibility | None, position_ids: Tensor) -> Tensor:
        for state in self.layer_states(hidden, visibility, position_ids):
            hidden = state
        return self.final_norm(hidden)

    def layer_states(
        self, hidden: Tensor, visibility: PaddedVisibility | None, position_ids: Tensor
    ) -> Iterator[Tensor]:
        """The hidden states after each layer, before the final norm."""
        around = {
            kind: self._surroundings(kind, hidden, visibility, position_ids)
            for kind in sorted(set(self.layer_types))
        }
        for attention, feed_forward, kind in zip(
            self.plan.attention, self.plan.feed_forward, self.layer_types
        ):
            hidden = self.attention[attention](hidden, around[kind])
            hidden = self.feed_forward[feed_forward](hidden)
            yield hidden

    def _surroundings(
        self, kind: str, hidden: Tensor, visibility: PaddedVisibility | None, position_ids: Tensor
    ) -> Surroundings:
        window = self.window if kind == "sliding_attention" else None
        seen = visible(visibility, hidden.shape[1], hidden.device, window=window)
        return Surroundings(seen, self.positions[kind](position_ids, position_ids))
