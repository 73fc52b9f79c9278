"""Permutation language model: each of the last pieces of a random order, from its place and what comes before it
in that order.

Source: XLNet (1906.08237), Sections 2.2 to 2.6. The query stream runs at the asked places only. With a segment
memory (`model.mem_len`), row slot i of a batch reads on where slot i of the batch before ended, or, as in the release,
where the reused part of its row ended (`reuse_share` of the pairing). A slot remembers the text directly before its
row and nothing else: where it begins elsewhere, it has forgotten all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone
from afterbert.models.permutation import Memory
from afterbert.nn.inputs import Inputs
from afterbert.nn.places import at_places
from afterbert.objectives import Batch
from afterbert.objectives.parts.arrays import input_arrays, width_of
from afterbert.objectives.parts.backwards import BothWays, turned
from afterbert.objectives.parts.language_model import LanguageModelModule
from afterbert.objectives.parts.questions import check_answers
from afterbert.objectives.parts.starts import TextStart
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import AskedInPlace, Posed
from afterbert.text.token_store.store import Split

_NEEDS_ORDER = (
    "model.mem_len needs rows that go on from batch to batch; set training.order to contiguous, or mem_len to 0"
)


@dataclass(frozen=True)
class PermutationLM(TextStart):
    """reads_both_ways: the text comes twice in an epoch, once from its end to its start, so that in contiguous order
    half of each batch is read backwards (Section 2.6); matters to the memory only."""

    reads_both_ways: bool = False

    def __post_init__(self) -> None:
        check_answers(self.pretext, "permutation_lm", may=(AskedInPlace,), exactly_one=AskedInPlace)
        if self.pretext.visibility.kinds != ("permutation",):
            raise UserError(
                f"permutation_lm needs an order to read in, but visibility is "
                f"{', '.join(self.pretext.visibility.kinds)}; set visibility.kinds to [permutation]"
            )

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        plan = super().plan(split, length=length, vocabulary=vocabulary, noise=noise)
        return BothWays(plan) if self.reads_both_ways else plan

    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        posed, is_backward = turned(posed)
        width = width_of(posed.shown, length)
        arrays = input_arrays(posed, vocabulary, width=width)
        if self.reads_both_ways:
            falling = posed.shown.lengths[:, None] - 1 - np.arange(width)
            arrays["position_ids"] = np.where(is_backward[:, None], falling, np.arange(width))
        (asked,) = (asked for asked in posed.asked if isinstance(asked, AskedInPlace))
        row = posed.shown.row_of[asked.positions]
        in_row = np.arange(len(row)) - np.searchsorted(row, row)
        places = np.zeros((len(posed.shown), max(1, int(in_row.max(initial=0)) + 1)), dtype=np.int64)
        places[row, in_row] = posed.shown.position_in_row[asked.positions]
        is_reused = posed.shown.planes.get("reused")
        reused = (
            posed.shown.lengths
            if is_reused is None
            else np.bincount(posed.shown.row_of, is_reused, minlength=len(posed.shown))
        )
        arrays |= {
            "reuse_lengths": reused.astype(np.int64),
            "query_positions": places,
            "chosen": row * places.shape[1] + in_row,
            "target_ids": asked.target_ids.astype(np.int64),
        }
        return Batch(arrays, {"permuted": len(row)}, posed.shown.num_pieces, posed.shown.keys)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> PermutationLMModule:
        return PermutationLMModule(architecture, backbone)

    def check(self, architecture: Architecture) -> None:
        if architecture.reads != "by_order":
            raise UserError(
                f"permutation_lm needs a model of two streams, not {name_of(architecture)}; set model.type to "
                "permutation"
            )

    def check_feed(self, architecture: Architecture, *, order: str, views: int | None) -> None:
        super().check_feed(architecture, order=order, views=views)
        if architecture.num_remembered and order != "contiguous":
            raise UserError(_NEEDS_ORDER)
        if architecture.num_remembered and not self.pretext.pairing.goes_on:
            raise UserError(
                f"rows of pairing {name_of(self.pretext.pairing)} do not go on where others end, so there is "
                "nothing to remember; give two_segments a reuse_share (XLNet: 0.5), take packed, or set model.mem_len "
                "to 0"
            )


class PermutationLMModule(LanguageModelModule):
    """The only part of the score: `permuted`. What each row slot remembers goes from step to step through
    `carried_state`; held-out rows are read without memory."""

    part = "permuted"
    asks = "pieces in a drawn order"
    slot_axis = 1

    def __init__(self, architecture: Architecture, backbone: Backbone):
        super().__init__(architecture, backbone)
        self.memory_shape = (architecture.num_hidden_layers, architecture.num_remembered, architecture.hidden_size)
        self._memory: Memory | None = None  # a row of it for each slot
        self._next: Tensor | None = None  # [slots], the step whose rows lie directly behind what is remembered

    def carried_state(self) -> Mapping[str, Tensor]:
        if self._memory is None or self._next is None:
            return {}
        return {"memory": self._memory.states, "remembered": torch.stack((self._memory.sizes, self._next))}

    def load_carried_state(self, state: Mapping[str, Tensor]) -> None:
        self._memory = Memory(state["memory"], state["remembered"][0]) if state else None
        self._next = state["remembered"][1] if state else None

    def states(self, arrays: Mapping[str, Tensor], places: Tensor) -> Tensor:
        """States [N, D] of the query stream at these places of it; in training the rows' memories move on."""
        slots = self._slots(arrays)
        memory = None if slots is None else self._recalled(slots, arrays["row_steps"], arrays["row_goes_on"])
        _, query, kept = self.backbone(
            arrays["input_ids"],
            query_positions=arrays["query_positions"],
            memory=memory,
            reuse_lengths=arrays["reuse_lengths"],
            **Inputs.of(arrays).beside_ids(),
        )
        if slots is not None:
            assert self._memory is not None and self._next is not None
            # never in place: whoever keeps a former state must find it unchanged
            self._memory = Memory(
                self._memory.states.to(kept.states.dtype).index_copy(1, slots, kept.states),
                self._memory.sizes.index_copy(0, slots, kept.sizes),
            )
            self._next = self._next.index_copy(0, slots, arrays["row_steps"] + 1)
        return at_places(query, places)

    def _slots(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """[B], where there is a memory to use."""
        if not (self.training and self.memory_shape[1]):
            return None
        if "row_slots" not in arrays:
            raise UserError(_NEEDS_ORDER)
        return arrays["row_slots"]

    def _recalled(self, slots: Tensor, steps: Tensor, goes_on: Tensor) -> Memory:
        """What these slots [B] remember; nothing where the row does not go on [B], or where the slot did not read the
        step before (its update was left out). The release shows zeros there."""
        layers, length, width = self.memory_shape
        states = slots.new_zeros(layers, 0, length, width, dtype=next(self.parameters()).dtype)
        known = self._memory or Memory(states, slots.new_zeros(0))
        missing = max(0, int(slots.max()) + 1 - len(known.sizes))
        self._memory = Memory(
            nn.functional.pad(known.states, (0, 0, 0, 0, 0, missing)), nn.functional.pad(known.sizes, (0, missing))
        )
        self._next = nn.functional.pad(slots.new_zeros(0) if self._next is None else self._next, (0, missing))
        goes_on = goes_on & (self._next[slots] == steps)
        states = self._memory.states[:, slots].masked_fill(~goes_on[None, :, None, None], 0)
        return Memory(states, self._memory.sizes[slots] * goes_on)
