"""Permutation language model: each of the last pieces of a random order, from its place and what comes before it
in that order.

Source: XLNet (1906.08237), Sections 2.2 to 2.6. The query stream runs at the asked places only. With a segment
memory (`model.mem_len`), row slot i of a batch reads on where slot i of the batch before ended, or, as in the release,
where the reused part of its row ended (`reuse_share` of the pairing). A slot remembers the text directly before its
row and nothing else: where it begins elsewhere, it has forgotten all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch
from afterbert.objectives.parts.arrays import input_arrays, width_of
from afterbert.objectives.parts.backwards import BothWays, turned
from afterbert.objectives.parts.posing import TextStart
from afterbert.objectives.parts.questions import check_answers
from afterbert.pretext.pairings import Plan
from afterbert.pretext.posed import AskedInPlace, Posed
from afterbert.text.token_store.store import Split

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.objectives.modules import ObjectiveModule

NEEDS_ORDER = (
    "model.mem_len needs rows that go on from batch to batch; set training.order to contiguous, or mem_len to 0"
)


@dataclass(frozen=True)
class PermutationLM(TextStart):
    """Names the last pieces of a random order from those before them."""

    reads_both_ways: bool = False
    """Whether the text comes twice in an epoch, once from its end to its start, so that in contiguous order half of
    each batch is read backwards (Section 2.6). It matters only to the memory."""

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

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        from afterbert.objectives.modules.permutation_lm import PermutationLMModule

        return PermutationLMModule(self, architecture, backbone)

    def check(self, architecture: Architecture) -> None:
        if architecture.reads != "by_order":
            raise UserError(
                f"permutation_lm needs a model of two streams, not {name_of(architecture)}; set model.type to "
                "permutation"
            )

    def check_feed(self, architecture: Architecture, *, order: str, views: int | None) -> None:
        super().check_feed(architecture, order=order, views=views)
        if architecture.num_remembered and order != "contiguous":
            raise UserError(NEEDS_ORDER)
        if architecture.num_remembered and not self.pretext.pairing.goes_on:
            raise UserError(
                f"rows of pairing {name_of(self.pretext.pairing)} do not go on where others end, so there is "
                "nothing to remember; give two_segments a reuse_share (XLNet: 0.5), take packed, or set model.mem_len "
                "to 0"
            )
