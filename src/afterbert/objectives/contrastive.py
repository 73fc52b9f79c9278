"""Contrastive sentence vectors: two views of one text are to be nearer to each other than to any other text of the
batch.

Sources: SimCSE (2104.08821), Section 3: a text is read twice and only dropout differs; temperature 0.05; the loss is
a softmax over the cosines with the second views of the batch. Two runs of sentences of one document as the two views:
Contriever (2112.09118), Section 3.1, after the inverse cloze task (1906.00300). A text without some of its pieces,
drawn for each view: word deletion in CLEAR (2012.15466), Section 3. Deviation: no extra layer stands between the pooled
states and the cosine, so what is trained is what is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.numbers import Rate
from afterbert.base.rows import Rows, in_order, starts_of
from afterbert.base.visibility import Visibility
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch, Objective, PretextTask
from afterbert.objectives.parts.arrays import input_arrays, width_of
from afterbert.pretext.pairings import Pairing, Plan
from afterbert.pretext.pairings.two_halves import TwoHalves
from afterbert.pretext.posed import Posed
from afterbert.text.token_store.store import Split

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.objectives.modules import ObjectiveModule


@dataclass(frozen=True)
class Contrastive(Objective):
    """A text's vector is the mean of the states of its pieces, or the state of its first."""

    from_drawn_weights: ClassVar[str] = (
        "the recipe trains vectors alone, and starts from drawn weights, which know no words; train a masked model "
        "first, and go on from it: --from RUN"
    )

    pairing: Pairing = TwoHalves(single_rate=0.0, short_rate=0.0)
    """The texts of a row; views `halves` need a pairing whose rows hold two."""
    views: Literal["halves", "dropout", "deleted"] = "halves"
    """The two texts of a row; the row twice, under two draws of dropout; or twice, each time without other pieces."""
    deleted: Rate = 0.7
    """With views `deleted`: the chance that a view lacks a piece."""
    pooling: Literal["mean", "first"] = "mean"
    temperature: Rate = 0.05
    """Cosines are divided by it (SimCSE: 0.05)."""

    def pictured(self) -> Mapping[str, PretextTask | str]:
        twice = {
            "dropout": "the text is read twice, and only dropout differs",
            "deleted": "the text is read twice, each time with other pieces deleted",
            "halves": "two neighbouring texts of one document are read, each for itself",
        }
        return {"": f"{twice[self.views]}; asked is which of the batch's second vectors belongs to which first one"}

    def flops_beside(self, architecture: Architecture, vocab_size: int, length: int) -> float:
        """Returns what the second view adds: a row once more, or what both leave of it; halves are the row itself."""
        more = {"halves": 0.0, "dropout": 1.0, "deleted": 1 - 2 * self.deleted}[self.views]
        return more * architecture.flops_per_token(vocab_size, length)

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        return self.pairing.plan(split, length=length, vocabulary=vocabulary, noise=noise)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        rows = plan.rows(numbers)
        if self.views == "halves":
            views = _halves(rows, vocabulary)
        else:
            views = _twice(rows) if self.views == "dropout" else _thinned(rows, self.deleted, noise)
        posed = Posed(views, Visibility(), np.arange(views.num_pieces), views, ())
        arrays = input_arrays(posed, vocabulary, width=width_of(views, length))
        has_text = np.bincount(views.row_of, ~views.planes["special"], minlength=len(views)) > 0
        arrays["is_pair"] = is_pair = np.logical_and(*has_text.reshape(2, -1))
        arrays["is_text"] = views.padded(
            np.ones(views.num_pieces, dtype=bool), fill=False, length=arrays["input_ids"].shape[1]
        )
        counts = {"contrast": int(is_pair.sum()), "ponder": views.num_pieces}
        return Batch(arrays, counts, views.num_pieces, rows.keys)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        from afterbert.objectives.modules.contrastive import ContrastiveModule

        return ContrastiveModule(self, backbone)

    def check(self, architecture: Architecture) -> None:
        if architecture.writes == "apart" or architecture.reads == "by_order":
            raise UserError(
                "a contrastive objective needs a model that reads a text in one pass; set model.type to encoder or "
                "decoder"
            )
        if self.views == "dropout" and getattr(architecture, "hidden_dropout_prob", 1.0) == 0.0:
            raise UserError(
                "with views dropout and model.hidden_dropout_prob 0 both readings of a text are the same; set the "
                "dropout to 0.1, or take views halves"
            )


def _twice(rows: Rows) -> Rows:
    """All rows, and all once more."""
    index = np.tile(np.arange(rows.num_pieces), 2)
    return _renamed(rows.take(index, starts_of(np.tile(rows.lengths, 2))), rows)


def _thinned(rows: Rows, rate: float, noise: Noise) -> Rows:
    """All rows, and all once more, each time without the pieces whose coin says so; special pieces stay."""
    stays = [
        rows.planes["special"] | (noise.of(name).uniform(rows.keys_of, rows.position_in_row) >= rate)
        for name in ("first_view", "second_view")
    ]
    index = np.concatenate([np.flatnonzero(side) for side in stays])
    lengths = np.concatenate([np.bincount(rows.row_of[side], minlength=len(rows)) for side in stays])
    return _renamed(rows.take(index, starts_of(lengths)), rows)


def _halves(rows: Rows, vocabulary: Vocabulary) -> Rows:
    """The first texts of all rows, then the second ones, each with the special pieces that one text alone has."""
    closes = vocabulary.sep if vocabulary.sep is not None else vocabulary.eos
    sides = [_side(rows, side, vocabulary.cls, closes) for side in (0, 1)]
    return _renamed(in_order(sides, np.arange(2 * len(rows))), rows)


def _side(rows: Rows, side: int, opens: int | None, closes: int | None) -> Rows:
    """The text of this segment of every row, between these special pieces where there are such."""
    is_side = rows.planes["segment"] == side
    is_mine = is_side & ~rows.planes["special"]
    sizes = np.bincount(rows.row_of[is_mine], minlength=len(rows)) + (opens is not None) + (closes is not None)
    begins = starts_of(sizes)
    ids = np.empty(begins[-1], dtype=rows.piece_ids.dtype)
    is_special = np.zeros(len(ids), dtype=bool)
    for piece, places in ((opens, begins[:-1]), (closes, begins[1:] - 1)):
        if piece is not None:
            ids[places], is_special[places] = piece, True
    ids[~is_special] = rows.piece_ids[is_mine]
    planes = {"special": is_special}
    if "language" in rows.planes:
        mine = np.append(np.flatnonzero(is_side), 0)  # a row without this side is no pair, whatever its language
        first = mine[np.searchsorted(mine[:-1], rows.row_starts[:-1])]
        planes["language"] = np.repeat(rows.planes["language"][first], sizes)
    return Rows(ids, begins, rows.keys, planes)


def _renamed(views: Rows, rows: Rows) -> Rows:
    return Rows(views.piece_ids, views.row_starts, np.tile(rows.keys, 2), views.planes)
