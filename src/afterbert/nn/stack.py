"""A stack of layers: which parts stand in it, which layers share them, and which look only near.

A layer is an attention part and a feed-forward part, in a decoder with attention to the encoder between them,
each with its norm and residual. The stack keeps them as lists of *distinct* parts, and the sharing plan says
which layer uses which: so no weight has two names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, cast

from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.nn.attention import Attention, SelfAttention, Surroundings
from afterbert.nn.dropout import dropout
from afterbert.nn.feed_forwards import FeedForward
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.norms import Norm
from afterbert.nn.past import Past
from afterbert.nn.places import RowPlaces, at_places, by_row
from afterbert.nn.positions import Positions
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.recording import Pass, Recording
from afterbert.nn.recurrence import HaltingProgress, Recurrence
from afterbert.nn.residuals import Residual
from afterbert.nn.residuals.post_norm import PostNorm
from afterbert.nn.routing import Routed
from afterbert.nn.sharing import Sharing
from afterbert.nn.sharing.none import NoSharing
from afterbert.nn.sizes import Sizes
from afterbert.nn.visibility import PaddedVisibility, is_piece, visible, visible_across

LayerType = Literal["full_attention", "sliding_attention"]


@dataclass(frozen=True)
class Windows:
    """Some layers look only near. Source: ModernBERT (2412.13663), Section 2.1.2."""

    local_attention: Annotated[int, Field(gt=1)] = 128
    """The width of the window, half of it on each side."""
    layer_types: tuple[LayerType, ...] = ("full_attention", "sliding_attention", "sliding_attention")
    """The kinds of the layers, repeated over the stack."""
    positions: Positions = Rotary(theta=10_000.0)
    """The positions of the layers that look only near."""

    def __post_init__(self) -> None:
        if not self.layer_types:
            raise UserError("windows.layer_types is empty; name at least one of full_attention, sliding_attention")


@dataclass(frozen=True)
class EncoderOutput:
    """An encoder's output, which a decoder's stack looks at: hidden [B, T, D] of the encoder, and which of it is
    padding."""

    hidden: Tensor
    visibility: PaddedVisibility | None


@dataclass(frozen=True)
class Told:
    """Everything that the layers of one pass are told; see `StackModule.forward`."""

    visibility: PaddedVisibility | None
    position_ids: Tensor
    encoded: EncoderOutput | None = None
    past: Past | None = None
    languages: Tensor | None = None


@dataclass(frozen=True)
class Stack:
    """has_final_dropout: after the last norm too (T5); recurrence: None for plain depth."""

    attention: Attention = Attention()
    feed_forward: FeedForward = Plain()
    residual: Residual = PostNorm()
    sharing: Sharing = NoSharing()
    windows: Windows | None = None
    has_final_dropout: bool = False
    recurrence: Recurrence | None = None

    def check(self, sizes: Sizes) -> None:
        """Raises UserError for sizes that this stack cannot have."""
        sizes.head_size(self.attention.head_size)
        self.sharing.plan(sizes.num_hidden_layers)
        if self.recurrence is not None:
            self.recurrence.check(sizes.hidden_size)

    def build(self, sizes: Sizes, norm: Norm, *, is_causal: bool = False, looks_across: bool = False) -> StackModule:
        """Returns the stack's module. is_causal: no piece ever looks ahead; looks_across: each layer also attends to an
        encoder."""
        return StackModule(self, sizes, norm, is_causal=is_causal, looks_across=looks_across)

    def flops_per_token(self, sizes: Sizes, length: int, *, looks_across: bool = False) -> float:
        """Counts the cost of one forward pass. Windows are counted as full attention, because no kernel here skips the
        hidden part; attention to an encoder as if its rows were as long; pieces that may halt as if none did."""
        attention = self.attention.flops_per_token(sizes, length)
        across = self.attention.across().flops_per_token(sizes, length) if looks_across else 0.0
        feed_forward = 2.0 * self.feed_forward.num_weights(sizes.hidden_size, sizes.intermediate_size)
        step = self.recurrence.flops_per_step(sizes.hidden_size) if self.recurrence else 0.0
        return sizes.num_hidden_layers * (attention + across + feed_forward + step)

    def layer_types(self, num_hidden_layers: int) -> tuple[LayerType, ...]:
        """Returns the kind of each layer."""
        pattern: tuple[LayerType, ...] = self.windows.layer_types if self.windows else ("full_attention",)
        return tuple(pattern[layer % len(pattern)] for layer in range(num_hidden_layers))


#: Computes a layer, by its number, of any stack of the same kind on states [B, T, D] in the same surroundings.
Compute = Callable[["StackModule", int, Tensor], Tensor]
#: Computes something in place of a layer of a stack; see `stood_in`.
StandIn = Callable[["StackModule", int, Tensor, Compute], Tensor]


@contextmanager
def stood_in(backbone: nn.Module, stand_in: StandIn) -> Iterator[None]:
    """Calls `stand_in` in place of every layer of the backbone's stacks, at all places, inside the block."""
    stacks = [part for part in backbone.modules() if isinstance(part, StackModule)]
    for stack in stacks:
        assert stack.stand_in is None, "one at a time"
        stack.stand_in = stand_in
    try:
        yield
    finally:
        for stack in stacks:
            stack.stand_in = None


class StackModule(nn.Module):
    """From hidden [B, T, D] to [B, T, D]."""

    def __init__(self, config: Stack, sizes: Sizes, norm: Norm, *, is_causal: bool, looks_across: bool):
        super().__init__()
        self.plan, self.looks_beside = config.sharing.plan(sizes.num_hidden_layers), config.feed_forward.looks_beside
        if self.looks_beside and (is_causal or looks_across):
            raise UserError(
                f"{name_of(config.feed_forward)} looks at neighbours, which a model that writes piece by piece does "
                "not keep; take stack.feed_forward plain or gated"
            )
        self.layer_types = config.layer_types(sizes.num_hidden_layers)
        self.window = config.windows.local_attention // 2 if config.windows else None

        def joined(inner: nn.Module, at_norm: Norm = norm) -> nn.Module:
            return config.residual.build(inner, at_norm.build(sizes.hidden_size), sizes.hidden_dropout_prob)

        def attend(at_norm: Norm) -> nn.Module:
            return joined(config.attention.build(sizes), at_norm)

        def routed(number: int, build: Callable[[], nn.Module]) -> nn.Module:
            return Routed([build() for _ in config.sharing.languages]) if number < self.plan.own else build()

        attentions = range(len(set(self.plan.attention)))
        # the residual's choice only where no later layer shares the first attention: those would go without
        first_norm = config.residual.first_norm(norm) if self.plan.attention.count(0) == 1 else norm
        self.attention = nn.ModuleList(
            routed(number, partial(attend, norm if number else first_norm)) for number in attentions
        )
        self.cross_attention = nn.ModuleList(
            joined(config.attention.across().build(sizes)) for _ in attentions if looks_across
        )
        self.feed_forward = nn.ModuleList(
            routed(number, lambda: joined(config.feed_forward.build(sizes.hidden_size, sizes.intermediate_size)))
            for number in range(len(set(self.plan.feed_forward)))
        )
        self.stream = "decoder_stack" if looks_across else "stack"
        self.recording: Recording | None = None
        self.stand_in: StandIn | None = None
        self.final_norm = config.residual.final_norm(norm).build(sizes.hidden_size)
        self.final_dropout = dropout(sizes.hidden_dropout_prob if config.has_final_dropout else 0.0)
        self.recurrence = config.recurrence.build(sizes.hidden_size) if config.recurrence else None
        self.positions = nn.ModuleDict()
        self.positions["full_attention"] = config.attention.build_shared_positions(sizes, is_causal=is_causal)
        if config.windows:
            head_size = sizes.head_size(config.attention.head_size)
            near = config.windows.positions.build_shared(sizes, head_size, is_causal=is_causal)
            self.positions["sliding_attention"] = near

    def forward(
        self,
        hidden: Tensor,
        visibility: PaddedVisibility | None,
        position_ids: Tensor,
        encoded: EncoderOutput | None = None,
        past: Past | None = None,
        *,
        wanted: Tensor | None = None,
        languages: Tensor | None = None,
    ) -> Tensor:
        """Returns the states after the last layer. past: the pieces read before these, which these join; they then see
        by positions, whatever `visibility` says. wanted: flat places [N]; the result is then [N, D], and the last layer
        computes nothing else, unless somebody records the pass. languages: int64 [B, T], for layers that each language
        has for itself."""
        kept = None if self.recording is None else self.recording.begin(self.stream, hidden)
        is_last_cut = past is None and encoded is None and self.recurrence is None
        is_last_cut = is_last_cut and kept is None and self.stand_in is None
        is_last_cut = is_last_cut and not self.looks_beside and self.plan.own < len(self.layer_types)
        told = Told(visibility, position_ids, encoded, past, languages)
        course = self.recurrence.begin(hidden) if self.recurrence else None
        for state in self._steps(hidden, told, course, kept, wanted=wanted if is_last_cut else None):
            hidden = state
            if kept is not None:
                kept.hidden.append(hidden)
        if course is not None:
            hidden = course.end(is_piece(visibility, hidden.shape[1]))
        if kept is not None:
            hidden = kept.last = self.final_dropout(self.final_norm(hidden))
            return at_places(hidden, wanted)
        if not is_last_cut:
            hidden = at_places(hidden, wanted)
        return self.final_dropout(self.final_norm(hidden))

    def _steps(
        self, hidden: Tensor, told: Told, course: HaltingProgress | None, kept: Pass | None, *, wanted: Tensor | None
    ) -> Iterator[Tensor]:
        """The states after each layer; of the last one at the flat places `wanted` only."""
        kinds = sorted(set(self.layer_types))
        around = {kind: self._surroundings(kind, hidden, told) for kind in kinds}
        across = _surroundings_across(hidden, told.encoded)
        if kept is not None and self.recording is not None and self.recording.keeps_attention:
            around = {kind: replace(one, keep=kept.attention.append) for kind, one in around.items()}
            across = None if across is None else replace(across, keep=kept.across.append)
        for step, kind in enumerate(self.layer_types):
            read = hidden if self.recurrence is None else self.recurrence.signalled(hidden, told.position_ids, step)
            is_last = step == len(self.layer_types) - 1
            here = around[kind]
            if is_last and wanted is not None:
                queries = by_row(wanted, *hidden.shape[:2])
                here = replace(self._surroundings(kind, hidden, told, queries), wanted=wanted)
            compute = cast(Compute, partial(StackModule._layer, around=here, across=across, told=told))
            after = compute(self, step, read) if self.stand_in is None else self.stand_in(self, step, read, compute)
            if course is not None:
                after = course.step(hidden, read, after, is_last=is_last)
            hidden = after
            yield hidden

    def _layer(
        self, number: int, hidden: Tensor, around: Surroundings, across: Surroundings | None, told: Told
    ) -> Tensor:
        attention, past = self.plan.attention[number], told.past
        named = {"languages": told.languages} if number < self.plan.own else {}
        if past is not None:
            around = replace(around, with_past=partial(past.extended, number))
        hidden = self.attention[attention](hidden, around, wanted=around.wanted, **named)
        if told.encoded is not None:
            part = self.cross_attention[attention]
            key_value = past.across(number) if past is not None else None
            if key_value is None:
                key_value = cast(SelfAttention, part.inner).keys_and_values(told.encoded.hidden)
                if past is not None:
                    past.keep_across(number, key_value)
            hidden = part(hidden, across, key_value)
        beside = (around.visible,) if self.looks_beside else ()
        return self.feed_forward[self.plan.feed_forward[number]](hidden, *beside, **named)

    def _surroundings(self, kind: str, hidden: Tensor, told: Told, queries: RowPlaces | None = None) -> Surroundings:
        """queries: the places that ask, where they are not all pieces."""
        window, position_ids = self.window if kind == "sliding_attention" else None, told.position_ids
        if told.past is not None:
            seen = told.past.visible(position_ids, window=window)
            return Surroundings(seen, self.positions[kind](position_ids, told.past.positions))
        seen = visible(told.visibility, hidden.shape[1], hidden.device, window=window)
        asking = position_ids
        if queries is not None:
            seen = seen.at(queries.positions)
            asking = position_ids.expand(len(hidden), -1).gather(1, queries.positions)
        return Surroundings(seen, self.positions[kind](asking, position_ids), wanted_by_row=queries)


def _surroundings_across(hidden: Tensor, encoded: EncoderOutput | None) -> Surroundings | None:
    if encoded is None:
        return None
    num_queries, num_keys = hidden.shape[1], encoded.hidden.shape[1]
    return Surroundings(visible_across(encoded.visibility, num_queries, num_keys, hidden.device))
