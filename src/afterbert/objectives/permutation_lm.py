"""Permutation language model: each of the last pieces of a random order, from its place and what comes before it
in that order.

Source: XLNet (1906.08237), Sections 2.2 to 2.6. The query stream runs at the asked places only. With a segment
memory (`model.mem_len`), row slot i of a batch reads on where slot i of the batch before ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone
from afterbert.nn.inputs import Inputs
from afterbert.nn.places import at_places
from afterbert.objectives import Batch, ObjectiveModule
from afterbert.objectives.parts.arrays import input_arrays, width_of
from afterbert.objectives.parts.backwards import BothWays, turned
from afterbert.objectives.parts.bias_start import BiasStart, start_bias
from afterbert.objectives.parts.language_model import LanguageModelModule
from afterbert.objectives.parts.posing import PretextObjective
from afterbert.objectives.parts.questions import check_answers
from afterbert.objectives.parts.scores import right
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import AskedInPlace, Posed
from afterbert.text.token_store.store import Split

_NEEDS_ORDER = (
    "model.mem_len needs rows that go on from batch to batch; set training.order to contiguous, or "
    "mem_len to 0"
)


@dataclass(frozen=True)
class PermutationLM(PretextObjective):
    """reads_both_ways: the text comes twice in an epoch, once from its end to its start, so that in contiguous
    order half of each batch is read backwards (Section 2.6); matters to the memory only.
    """

    reads_both_ways: bool = False
    decoder_bias_start: BiasStart = "zeros"

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
        arrays |= {
            "query_positions": places,
            "chosen": row * places.shape[1] + in_row,
            "target_ids": asked.target_ids.astype(np.int64),
        }
        return Batch(arrays, {"permuted": len(row)}, posed.shown.num_pieces, posed.shown.keys)

    def build_on(
        self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary
    ) -> PermutationLMModule:
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

    def begin(self, module: ObjectiveModule, split: Split) -> None:
        assert isinstance(module, PermutationLMModule)
        start_bias(module.lm_head, split, self.decoder_bias_start)


class PermutationLMModule(LanguageModelModule):
    """The only part of the score: `permuted`. What each row slot remembers goes from step to step through
    `carried_state`; held-out rows are read without memory.
    """

    part = "permuted"
    asks = "pieces in a drawn order"
    slot_axis = 1

    def __init__(self, architecture: Architecture, backbone: Backbone):
        super().__init__(architecture, backbone)
        self.loss_weights = {"permuted": 1.0}
        self.memory_shape = (
            architecture.num_hidden_layers,
            architecture.num_remembered,
            architecture.hidden_size,
        )
        self._memory: Tensor | None = None  # [L, slots, M, D]

    def carried_state(self) -> Mapping[str, Tensor]:
        return {} if self._memory is None else {"memory": self._memory}

    def load_carried_state(self, state: Mapping[str, Tensor]) -> None:
        self._memory = state.get("memory")

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"permuted": self.score(arrays)}

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        return {"permuted_accuracy": right(self.predict(arrays), arrays["target_ids"])}

    def states(self, arrays: Mapping[str, Tensor], places: Tensor) -> Tensor:
        """States [N, D] of the query stream at these places of it; in training the rows' memories move on."""
        slots = self._slots(arrays)
        memory = None if slots is None else self._recalled(slots, arrays["input_ids"].device)
        _, query, kept = self.backbone(
            arrays["input_ids"],
            query_positions=arrays["query_positions"],
            memory=memory,
            **Inputs.of(arrays).beside_ids(),
        )
        if slots is not None:
            assert self._memory is not None
            # never in place: whoever keeps a former state must find it unchanged
            self._memory = self._memory.to(kept.dtype).index_copy(1, slots, kept)
        return at_places(query, places)

    def _slots(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """[B], where there is a memory to use."""
        if not (self.training and self.memory_shape[1]):
            return None
        if "row_slots" not in arrays:
            raise UserError(_NEEDS_ORDER)
        return arrays["row_slots"]

    def _recalled(self, slots: Tensor, device: torch.device) -> Tensor:
        """[L, B, M, D]: what these slots remember; zeros before their first row, as in the release."""
        layers, length, size = self.memory_shape
        known = 0 if self._memory is None else self._memory.shape[1]
        missing = int(slots.max()) + 1 - known
        if missing > 0:
            kind = next(self.parameters()).dtype if self._memory is None else self._memory.dtype
            fresh = torch.zeros(layers, missing, length, size, device=device, dtype=kind)
            self._memory = fresh if self._memory is None else torch.cat((self._memory, fresh), dim=1)
        assert self._memory is not None
        return self._memory[:, slots]
