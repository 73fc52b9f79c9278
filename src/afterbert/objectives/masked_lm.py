"""Masked language model: which piece belongs at each chosen place? With the pair question where the pretext asks one.

Source: BERT (1810.04805), Section 3.1, Tasks 1 and 2. The head runs at the chosen places only; the score is the same as
running it everywhere and ignoring the rest. The two losses are each a mean and are added, as in the paper. With a
mixture of visibilities it is UniLM's cloze task (1905.03197, Sections 2.3 and 2.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import Count, NotNegative
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch
from afterbert.objectives.parts.posing import TextStart
from afterbert.objectives.parts.questions import ONE_TABLE, check_answers
from afterbert.pretext.posed import AskedInPlace, Posed, RowLabels

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.models.encoder import Encoder
    from afterbert.objectives.modules import ObjectiveModule

_FIRST_SEGMENT = {"full": 0, "causal": 2, "reverse": 3, "prefix": 4}


@dataclass(frozen=True)
class Boundary:
    """SpanBERT's second loss: each piece of a masked span from the two pieces around the span and its place in it.

    Source: SpanBERT (1907.10529), Section 3.2 and equation 2; spans that touch or overlap are merged first, and at most
    `max_targets` pieces of a span are asked, as in the release. The logits use the tied table with a bias of their own.
    """

    position_size: Count = 200
    """The width of the vectors for places in the span."""
    max_targets: Count = 15
    loss_weight: NotNegative = 1.0

    def arrays(self, rows: Rows, positions: np.ndarray, *, width: int) -> dict[str, np.ndarray]:
        """Returns for chosen flat positions [N]: which of them are asked (index [M]), the flat padded places of both
        neighbours of their span [M], and their place in the span from 0 [M]. A span at either end of its row lacks a
        neighbour and asks nothing.

        >>> rows = Rows.of("[CLS] a b c d [SEP]")
        >>> {k: v.tolist() for k, v in Boundary().arrays(rows, np.array([2, 3]), width=8).items()}
        {'boundary_asked': [0, 1], 'boundary_left': [1, 1], 'boundary_right': [4, 4], 'boundary_place': [0, 1]}
        """
        row = rows.row_of[positions]
        begins = np.ones(len(positions), dtype=bool)
        begins[1:] = (np.diff(positions) != 1) | (np.diff(row) != 0)
        first = np.flatnonzero(begins)
        lengths = np.diff(first, append=len(positions))
        left = np.repeat(positions[first] - 1, lengths)
        right = np.repeat(positions[first] + lengths, lengths)
        place = positions - left - 1
        inside = (left >= rows.row_starts[row]) & (right < rows.row_starts[row + 1])
        asked = np.flatnonzero(inside & (place < self.max_targets))
        return {
            "boundary_asked": asked,
            "boundary_left": rows.flat_to_padded(left[asked], length=width),
            "boundary_right": rows.flat_to_padded(right[asked], length=width),
            "boundary_place": place[asked],
        }


@dataclass(frozen=True)
class MaskedLM(TextStart):
    """Names chosen pieces where they stand.

    Where rows differ in who sees whom, only rows that see everything are asked the pair question: the first piece
    must see both texts.
    """

    boundary: Boundary | None = None
    """SpanBERT's second loss; None for none."""
    pair_loss_weight: NotNegative = 1.0
    """The weight of the pair question, if the pretext asks one."""
    segments: Literal["paired", "by_sight"] = "paired"
    """Numbers as the pairing gives them, or by who sees whom (UniLM's code: 0 and 1 in full rows, 2 in causal, 3 in
    reverse, 4 and 5 in prefix rows)."""

    def __post_init__(self) -> None:
        check_answers(self.pretext, "masked_lm", may=(AskedInPlace, RowLabels), exactly_one=AskedInPlace)

    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        posed = _by_sight(posed) if self.segments == "by_sight" else posed
        posed = _pairs_where_all_is_seen(posed)
        batch = super().batch(posed, noise, vocabulary=vocabulary, length=length)
        if self.boundary is None:
            return batch
        positions = next(asked.positions for asked in posed.asked if isinstance(asked, AskedInPlace))
        around = self.boundary.arrays(posed.shown, positions, width=batch.arrays["input_ids"].shape[1])
        counts = {**batch.counts, "boundary": len(around["boundary_asked"])}
        return replace(batch, arrays={**batch.arrays, **around}, counts=counts)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        from afterbert.objectives.modules.masked_lm import MaskedLMModule

        return MaskedLMModule(self, architecture, backbone)

    def check(self, architecture: Architecture) -> None:
        self.check_reads_both_ways(architecture)
        if self.boundary is not None and cast("Encoder", architecture).stack.sharing.tables > 1:
            raise UserError(ONE_TABLE.format("boundary"))
        if self.segments == "by_sight" and architecture.type_vocab_size < 6:
            raise UserError(
                f"segments by_sight are numbered up to 5, but the model has {architecture.type_vocab_size}; "
                "set model.embeddings.type_vocab_size to 6"
            )


def _by_sight(posed: Posed) -> Posed:
    """The same with segments numbered by who sees whom."""
    rows = posed.shown
    kinds = np.broadcast_to(np.array(posed.visibility.kind), (len(rows),))
    first = np.array([_FIRST_SEGMENT[kind] for kind in kinds], dtype=np.uint8)
    has_two = np.isin(kinds, ("full", "prefix"))
    segment = first[rows.row_of] + rows.planes["segment"] * has_two[rows.row_of]
    return replace(posed, shown=rows.with_planes(segment=segment))


def _pairs_where_all_is_seen(posed: Posed) -> Posed:
    """The same without the pair question in rows that do not see everything."""
    if isinstance(posed.visibility.kind, str):
        return posed
    sees_all = np.array(posed.visibility.kind) == "full"
    asked = [
        replace(asked, labels=np.where(sees_all, asked.labels, -1)) if isinstance(asked, RowLabels) else asked
        for asked in posed.asked
    ]
    return replace(posed, asked=tuple(asked))
