"""Masked language model: which piece belongs at each chosen place? With the pair question where the pretext asks one.

Source: BERT (1810.04805), Section 3.1, Tasks 1 and 2. The head runs at the chosen places only; the score is the same as
running it everywhere and ignoring the rest. The two losses are each a mean and are added, as in the paper. With a
mixture of visibilities it is UniLM's cloze task (1905.03197, Sections 2.3 and 2.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import NotNegative
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture, Backbone
from afterbert.nn.embeddings import table_of
from afterbert.nn.heads import Pooler
from afterbert.nn.inputs import Inputs
from afterbert.objectives import Batch
from afterbert.objectives.heads.boundary import Boundary, BoundaryHead
from afterbert.objectives.parts.arrays import asked_arrays, input_arrays, width_of
from afterbert.objectives.parts.language_model import LanguageModelModule
from afterbert.objectives.parts.meaning import Meaning
from afterbert.objectives.parts.questions import check_answers, names_of
from afterbert.objectives.parts.scores import right, summed_cross_entropy
from afterbert.objectives.parts.starts import TextStart
from afterbert.pretext.posed import AskedInPlace, Posed, RowLabels

_FIRST_SEGMENT = {"full": 0, "causal": 2, "reverse": 3, "prefix": 4}


@dataclass(frozen=True)
class MaskedLM(TextStart):
    """boundary: SpanBERT's second loss; None for none. pair_loss_weight: of the pair question, where the
    pretext asks one. segments: numbers as the pairing gives them, or by who sees whom (UniLM's code: 0 and 1
    in full rows, 2 in causal, 3 in reverse, 4 and 5 in prefix rows).

    Where rows differ in who sees whom, only rows that see everything are asked the pair question: the first
    piece must see both texts.
    """

    boundary: Boundary | None = None
    pair_loss_weight: NotNegative = 1.0
    segments: Literal["paired", "by_sight"] = "paired"

    def __post_init__(self) -> None:
        check_answers(self.pretext, "masked_lm", may=(AskedInPlace, RowLabels), exactly_one=AskedInPlace)

    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        posed = _by_sight(posed) if self.segments == "by_sight" else posed
        posed = _pairs_where_all_is_seen(posed)
        width = width_of(posed.shown, length)
        asked, counts = asked_arrays(posed, width=width)
        arrays = input_arrays(posed, vocabulary, width=width) | asked
        if self.boundary is not None:
            positions = next(asked.positions for asked in posed.asked if isinstance(asked, AskedInPlace))
            arrays |= self.boundary.arrays(posed.shown, positions, width=width)
            counts["boundary"] = len(arrays["boundary_asked"])
        return Batch(arrays, counts, posed.shown.num_pieces, posed.shown.keys)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> MaskedLMModule:
        return MaskedLMModule(self, architecture, backbone)

    def check(self, architecture: Architecture) -> None:
        if not architecture.is_encoder:
            raise UserError(
                "a masked_lm objective needs a model that reads both ways; set model.type to encoder, or choose "
                "another objective"
            )
        if self.segments == "by_sight" and architecture.type_vocab_size < 6:
            raise UserError(
                f"segments by_sight are numbered up to 5, but the model has {architecture.type_vocab_size}; "
                "set model.embeddings.type_vocab_size to 6"
            )


class MaskedLMModule(LanguageModelModule):
    """Parts of the score: `masked`, `boundary`, and the pair question's name."""

    part = "masked"
    asks = "hidden pieces"
    fills_masks = True

    def __init__(self, config: MaskedLM, architecture: Architecture, backbone: Backbone):
        super().__init__(architecture, backbone)
        self.question = config.pretext.pairing.question if names_of(config.pretext, RowLabels) else None
        self.loss_weights = {"masked": 1.0}
        if self.question:
            self.loss_weights[self.question] = config.pair_loss_weight
            self.pooler = Pooler().build(architecture.hidden_size)
            self.pair_head = nn.Linear(architecture.hidden_size, 2)
        if config.boundary is not None:
            self.loss_weights["boundary"] = config.boundary.loss_weight
            self.boundary = BoundaryHead(config.boundary, architecture.hidden_size, table_of(backbone))
        for name, part in self.named_children():
            if name not in ("backbone", "lm_head"):  # these have drawn their own weights
                architecture.initialization.apply(part, architecture.num_hidden_layers)

    def meanings(self) -> Mapping[str, Meaning]:
        found = dict(super().meanings())
        if self.question:
            asks = f"pair question {self.question.replace('_', ' ')}"
            found[self.question] = Meaning.of_choice(asks, 2, "row")
            found[f"{self.question}_accuracy"] = Meaning.share_right(asks, uniform=0.5)
        if "boundary" in self.loss_weights:
            size = len(self.backbone.embeddings.table.weight)
            found["boundary"] = Meaning.of_pieces("hidden pieces from the ends of their span", size)
        return found

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        states, targets = self._states(arrays), arrays["target_ids"]
        told = Inputs.languages_at(arrays, arrays["chosen"])
        scores = {"masked": self.lm_head.score(states["chosen"], targets, told)}
        if self.question:
            pair_logits = self._pair_logits(states["first"])
            scores[self.question] = summed_cross_entropy(pair_logits, arrays[f"{self.question}_labels"])
        if "boundary" in self.loss_weights:
            around = (states["left"], states["right"], arrays["boundary_place"])
            scores["boundary"] = self.boundary.score(*around, targets[arrays["boundary_asked"]])
        return scores

    def measure(self, arrays: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, int]]:
        states = self._states(arrays)
        told = Inputs.languages_at(arrays, arrays["chosen"])
        found = {"masked_accuracy": right(self.lm_head(states["chosen"], told), arrays["target_ids"])}
        if self.question:
            labels = arrays[f"{self.question}_labels"]
            found[f"{self.question}_accuracy"] = right(self._pair_logits(states["first"]), labels)
        return found

    def _states(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Hidden states [N, D] of the places that each question looks at, all from one pass."""
        places = {"chosen": arrays["chosen"]}
        if self.question:
            places["first"] = _first_places(arrays["input_ids"])
        if "boundary" in self.loss_weights:
            places |= {"left": arrays["boundary_left"], "right": arrays["boundary_right"]}
        states = self.states(arrays, torch.cat(tuple(places.values())))
        return dict(zip(places, states.split([len(part) for part in places.values()])))

    def _pair_logits(self, first: Tensor) -> Tensor:
        """[B, 2] from the states [B, D] of the rows' first pieces."""
        return self.pair_head(self.pooler(first[:, None]))


def _first_places(input_ids: Tensor) -> Tensor:
    """Flat places [B] of the first pieces of ids [B, T]."""
    return torch.arange(len(input_ids), device=input_ids.device) * input_ids.shape[1]


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
