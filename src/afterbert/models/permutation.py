"""A model of all factorization orders: two streams over the same weights, and a memory of the segment before. Exactly
XLNet by its nodes.

Source: XLNet (1906.08237), Sections 2.2 to 2.5. The content stream sees a piece and what comes before it in the order;
the query stream sees the place of a piece but only the content of what comes before, and runs at the asked places only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.numbers import CountFromZero
from afterbert.models import Backbone
from afterbert.models.parts.assembled import refuse_languages
from afterbert.models.parts.single_stack import SingleStack
from afterbert.nn.attention import Attention, SelfAttention, Surroundings
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.heads import LMHead
from afterbert.nn.inputs import Inputs
from afterbert.nn.places import at_places
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.transformer_xl import TransformerXL
from afterbert.nn.recording import Pass, Recording
from afterbert.nn.residuals.post_norm import PostNorm
from afterbert.nn.stack import Stack
from afterbert.nn.visibility import PaddedVisibility, Visible, visible


class Memory(NamedTuple):
    """The states that the layers of a model read at the places before a row.

    states: [L, B, M, D], the nearest place last; sizes: [B], how many of the last places hold something.
    """

    states: Tensor
    sizes: Tensor

    @staticmethod
    def of(states: Tensor) -> Memory:
        """Returns a memory in which every place holds something."""
        return Memory(states, torch.full(states.shape[1:2], states.shape[2], device=states.device))

    @property
    def is_there(self) -> Tensor:
        """bool [B, M]."""
        places = torch.arange(self.states.shape[2], 0, -1, device=self.sizes.device)
        return places <= self.sizes[:, None]

    def followed_by(self, states: Tensor, read: Tensor, size: int) -> Memory:
        """Returns the memory of `size` places after rows were read whose layers read `states` [L, B, T, D]. The first
        `read` [B] places of each row are kept."""
        layers, rows, _, width = states.shape
        before = nn.functional.pad(self.states, (0, 0, max(0, size - self.states.shape[2]), 0))
        first = before.shape[2] - size + read[:, None] + torch.arange(size, device=read.device)
        index = first[None, :, :, None].expand(layers, rows, size, width)
        kept = torch.cat((before, states), dim=2).gather(2, index)
        return Memory(kept, (self.sizes + read).clamp(max=size))


class TwoStreams(NamedTuple):
    """content: [B, T, D]; query: [B, Q, D], or None if no places were asked; memory: for the next segment, or None."""

    content: Tensor
    query: Tensor | None
    memory: Memory | None


@dataclass(frozen=True)
class Permutation(SingleStack):
    """Defaults are XLNet's, in a tiny size."""

    reads = "by_order"
    writes = "nothing"
    summary = "last"
    obeys_visibility = False

    embeddings: Embeddings = Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0, has_norm=False)
    stack: Stack = Stack(
        attention=Attention(bias=False, positions=TransformerXL(), has_relative_segments=True), has_final_dropout=True
    )
    lm_head: LMHead = LMHead(has_transform=False)
    mem_len: CountFromZero = 0
    """How many positions of earlier segments are remembered; 0: none."""
    reuse_len: CountFromZero = 0
    """How many of a row's first positions are remembered where the batch does not say; 0: all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_languages(self)
        if not isinstance(self.stack.residual, PostNorm) or self.stack.windows:
            raise UserError(
                "a permutation model remembers what its attention reads, so it needs stack.residual post_norm and no "
                "stack.windows"
            )
        if self.stack.recurrence is not None or self.stack.feed_forward.looks_beside:
            raise UserError(
                "a permutation model's two streams have no recurrence in depth and look at no neighbours; leave "
                "stack.recurrence out, and take stack.feed_forward plain or gated"
            )

    @property
    def has_segments(self) -> bool:
        """Its attention tells them apart, without vectors for them."""
        return True

    @property
    def num_remembered(self) -> int:
        return self.mem_len

    def module(self, vocab_size: int) -> PermutationModule:
        return PermutationModule(self, vocab_size)


class PermutationModule(Backbone):
    """The backbone; `query_start` is the one vector [1, D] with which every query begins."""

    calls_layers_once = False

    def __init__(self, config: Permutation, vocab_size: int):
        super().__init__()
        self.embeddings = config.embeddings.build(vocab_size, config.sizes, config.norm)
        self.stack = config.stack.build(config.sizes, config.norm)
        self.query_start = nn.Embedding(1, config.hidden_size)
        self.mem_len, self.reuse_len = config.mem_len, config.reuse_len
        self.recording: Recording | None = None

    def forward(
        self,
        input_ids: Tensor,
        *,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        visibility: PaddedVisibility | None = None,
        query_positions: Tensor | None = None,
        memory: Memory | None = None,
        reuse_lengths: Tensor | None = None,
    ) -> TwoStreams:
        """Reads ids [B, T] after a `memory` that everybody sees. query_positions [B, Q]: the places in the rows that
        are asked (fill up with any); they need a `visibility` with ranks. Segments that are not given say nothing. A
        row read backwards has falling position_ids. reuse_lengths [B]: how many of each row's first places go into the
        memory that is returned."""
        scene = _Scene(self.stack.positions["full_attention"], Inputs(input_ids, token_type_ids, position_ids), memory)
        content = self.embeddings(input_ids, position_ids=scene.places)
        around = scene.around(visible(visibility, input_ids.shape[1], content.device), None)
        query, around_query = None, None
        if query_positions is not None:
            assert visibility is not None and visibility.rank is not None, "a query without ranks would see itself"
            strictly = visible(visibility, input_ids.shape[1], content.device, strictly=True)
            around_query = scene.around(strictly, query_positions)
            start = self.embeddings.dropout(self.query_start.weight)
            query = start.expand(*query_positions.shape, -1)
        kept = self._recorded(content, query)
        (around, around_query), states = self._heard(kept, around, around_query), []
        for layer, (attention, feed_forward) in enumerate(zip(self.stack.plan.attention, self.stack.plan.feed_forward)):
            attend, transform = self.stack.attention[attention], self.stack.feed_forward[feed_forward]
            states.append(content.detach())
            source = content if memory is None else torch.cat((memory.states[layer], content), dim=1)
            key_value = cast(SelfAttention, attend.inner).keys_and_values(source)
            content = transform(attend(content, around, key_value))
            if query is not None:
                query = transform(attend(query, around_query, key_value))
            for one, state in zip(kept, (content, query)):
                one.hidden.append(state)
        content = self.stack.final_dropout(content)
        query = None if query is None else self.stack.final_dropout(query)
        for one, state in zip(kept, (content, query)):
            one.last = state
        if not self.mem_len:
            return TwoStreams(content, query, None)
        if reuse_lengths is None:
            reuse_lengths = self._usual_reuse(input_ids, visibility)
        read = torch.stack(states)
        before = memory or Memory.of(read[:, :, :0])
        return TwoStreams(content, query, before.followed_by(read, reuse_lengths, self.mem_len))

    def _usual_reuse(self, input_ids: Tensor, visibility: PaddedVisibility | None) -> Tensor:
        """How many first places of each row [B] are remembered where the batch does not say."""
        rows, length = input_ids.shape
        lengths = torch.full((rows,), length, device=input_ids.device)
        if visibility is not None and visibility.lengths is not None:
            lengths = visibility.lengths
        return lengths.clamp(max=self.reuse_len) if self.reuse_len else lengths

    def read(self, inputs: Inputs, *, wanted: Tensor | None = None) -> Tensor:
        return at_places(self._streams(inputs).content, wanted)

    def asked(self, arrays: Mapping[str, Tensor]) -> Tensor:
        streams = self._streams(Inputs.of(arrays), query_positions=arrays["query_positions"])
        assert streams.query is not None
        return at_places(streams.query, arrays["chosen"])

    def _streams(self, inputs: Inputs, *, query_positions: Tensor | None = None) -> TwoStreams:
        return self(inputs.input_ids, **inputs.beside_ids(), query_positions=query_positions)

    def _recorded(self, content: Tensor, query: Tensor | None) -> list[Pass]:
        """Where this pass is kept, stream by stream; empty while nobody records."""
        if self.recording is None:
            return []
        streams = {"stack": content} | ({} if query is None else {"query": query})
        return [self.recording.begin(name, hidden) for name, hidden in streams.items()]

    def _heard(
        self, kept: Sequence[Pass], around: Surroundings, around_query: Surroundings | None
    ) -> tuple[Surroundings, Surroundings | None]:
        """The same surroundings, which tell their pass of every attention where that is wanted."""
        if self.recording is None or not self.recording.keeps_attention:
            return around, around_query
        around = replace(around, keep=kept[0].attention.append)
        if around_query is not None:
            around_query = replace(around_query, keep=kept[1].attention.append)
        return around, around_query


class _Scene:
    """Positions and segments of one forward pass, with the memory in front."""

    def __init__(self, positions: nn.Module, inputs: Inputs, memory: Memory | None):
        self.positions, self.segments, self.memory = positions, inputs.token_type_ids, memory
        self.remembered = remembered = 0 if memory is None else memory.states.shape[2]
        self.batch, self.places = len(inputs.input_ids), inputs.places
        # the memory goes on in the direction in which the row is read
        step = self.places[:, 1:2] - self.places[:, :1] if self.places.shape[1] > 1 else 1
        before = torch.arange(remembered, 0, -1, device=self.places.device)[None]
        self.key_places = torch.cat((self.places[:, :1] - step * before, self.places), dim=1)

    def around(self, seen: Visible, query_positions: Tensor | None) -> Surroundings:
        """Gives what the queries at these places (None: at all) see and know of the keys."""
        seen = seen if self.memory is None else seen.with_memory(self.memory.is_there)
        places, segments = self.places, self.segments
        if query_positions is not None:
            seen = seen.at(query_positions)
            places = places.expand(self.batch, -1).gather(1, query_positions)
            segments = None if segments is None else segments.gather(1, query_positions)
        differ = None
        if segments is not None and self.segments is not None:
            # XLNet's code gives the memory segment 0
            of_keys = nn.functional.pad(self.segments, (self.remembered, 0))
            differ = segments[:, :, None] != of_keys[:, None, :]
        return Surroundings(seen, self.positions(places, self.key_places), differ)
