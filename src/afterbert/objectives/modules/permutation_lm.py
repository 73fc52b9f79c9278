"""What a permutation language model is trained with: two streams, and what each row slot remembers."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.models import Architecture, Backbone
from afterbert.models.permutation import Memory
from afterbert.nn.inputs import Inputs
from afterbert.nn.places import at_places
from afterbert.objectives.parts.language_model import LanguageModelModule
from afterbert.objectives.permutation_lm import NEEDS_ORDER, PermutationLM


class PermutationLMModule(LanguageModelModule):
    """The only part of the score: `permuted`. What each row slot remembers goes from step to step through
    `carried_state`; held-out rows are read without memory."""

    part = "permuted"
    asks = "pieces in a drawn order"
    slot_axis = 1

    def __init__(self, config: PermutationLM, architecture: Architecture, backbone: Backbone):
        super().__init__(architecture, backbone, config.sampled_softmax)
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
        """Returns states [N, D] of the query stream at these places of it; in training the rows' memories move on."""
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
            raise UserError(NEEDS_ORDER)
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
