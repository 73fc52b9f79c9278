"""How well does a model fill in masked pieces of held-out text? The same question for every model and every recipe.

Packed rows, a fixed share of pieces, all of them shown as the mask, fixed noise: so two runs on one store answer the
very same questions, whatever they were trained on. Beside it stands what counting alone would guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from afterbert.base.noise import Noise
from afterbert.base.numbers import Count, InnerShare
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch
from afterbert.objectives.masked_lm import MaskedLM
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.posed import AskedInPlace, Posed
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.task import Pretext
from afterbert.probes.count_baselines import CountBaselines
from afterbert.text.token_store.by_language import by_language
from afterbert.text.token_store.store import Split

# One seed for all evaluations for ever: changing it makes figures incomparable.
_SEED = 20_190_811

# The kinds of chosen pieces that are told apart.
KINDS = ("one_piece_word", "word_otherwise_visible", "wholly_masked_word")


@dataclass(frozen=True)
class MaskedPrediction:
    """rate: share of pieces asked about; unit: what is hidden whole (`word` asks the same text of any vocabulary);
    max_rows: rows taken, spread evenly over the split; length: pieces a row."""

    rate: InnerShare = 0.15
    unit: str = "piece"
    max_rows: Count = 512
    length: Annotated[int, Field(ge=8)] = 128
    batch_size: Count = 32

    def __call__(
        self,
        predict: Callable[[Mapping[str, Tensor]], Tensor],
        split: Split,
        vocabulary: Vocabulary,
        *,
        piece_bytes: np.ndarray,
        baselines: CountBaselines | None = None,
        device: torch.device | str = "cpu",
    ) -> Measured:
        """Asks `predict` (a batch's arrays -> logits [N, V] at its chosen places). piece_bytes: [V], UTF-8
        bytes of each piece."""
        tally = Measured.empty()
        for batch, posed, rows in self.questions(split, vocabulary):
            arrays = {name: torch.as_tensor(array, device=device) for name, array in batch.arrays.items()}
            with torch.inference_mode():
                logits = predict(arrays).float()
                surprise = torch.nn.functional.cross_entropy(logits, arrays["target_ids"], reduction="none")
                right = (logits.argmax(-1) == arrays["target_ids"]).cpu().numpy()
            chosen = _in_place(posed)
            tally += Measured.of(
                rows,
                chosen,
                surprise=surprise.double().cpu().numpy(),
                right=right,
                neighbour_right=_neighbour_guess(posed, chosen, baselines) == chosen.target_ids if baselines else None,
                frequent_right=chosen.target_ids == baselines.most_frequent if baselines else None,
                piece_bytes=piece_bytes,
            )
        return tally

    def in_each_language(
        self,
        predict: Callable[[Mapping[str, Tensor]], Tensor],
        split: Split,
        languages: tuple[str, ...],
        vocabulary: Vocabulary,
        *,
        piece_bytes: np.ndarray,
        device: torch.device | str = "cpu",
    ) -> dict[str, dict[str, float]]:
        """Language -> `measures` on the split's texts in it; of one language nothing. languages: names of its codes."""
        parts = by_language(split, languages)
        return {
            name: self(predict, part, vocabulary, piece_bytes=piece_bytes, device=device).summary()["measures"]
            for name, part in parts.items()
            if len(parts) > 1
        }

    def questions(self, split: Split, vocabulary: Vocabulary) -> Iterator[tuple[Batch, Posed, Rows]]:
        """Each batch for the model, the same as a posed task, and its rows before the masks."""
        pretext = Pretext(
            pairing=Packed(),
            edits=(Edit(FixedCount(unit=self.unit, rate=self.rate), Mask(masked=1.0, random=0.0)),),
            answers=(InPlace(),),
        )
        noise = Noise(_SEED)
        plan = pretext.pairing.plan(split, length=self.length, vocabulary=vocabulary, noise=noise)
        count = min(self.max_rows, len(plan))
        numbers = np.arange(count) * len(plan) // max(count, 1)
        objective = MaskedLM(pretext)
        for some in np.split(numbers, range(self.batch_size, count, self.batch_size)):
            batch = objective.pose(plan, some, noise, vocabulary=vocabulary, length=self.length)
            rows = plan.rows(some)
            yield batch, pretext.pose(rows, noise, vocabulary), rows


def _in_place(posed: Posed) -> AskedInPlace:
    return next(asked for asked in posed.asked if isinstance(asked, AskedInPlace))


def _neighbour_guess(posed: Posed, chosen: AskedInPlace, baselines: CountBaselines) -> np.ndarray:
    """What counting guesses from the visible neighbours; a masked or special neighbour is not visible."""
    rows = posed.shown
    visible = rows.piece_ids.astype(np.int64)
    visible[rows.planes["special"]] = -1
    visible[chosen.positions] = -1
    around = np.concatenate([[-1], visible, [-1]])
    # No neighbour beyond the row's own ends: rows begin and end with special pieces.
    return baselines.guess(around[chosen.positions], around[chosen.positions + 2])


def kinds_of(rows: Rows, positions: np.ndarray) -> np.ndarray:
    """For each chosen position [N] the index into KINDS: how much of its word is left to see.

    >>> rows = Rows.of("[CLS] un ##believ ##able ! [SEP]")
    >>> [KINDS[k] for k in kinds_of(rows, np.array([1, 2, 4]))]
    ['word_otherwise_visible', 'word_otherwise_visible', 'one_piece_word']
    >>> [KINDS[k] for k in kinds_of(rows, np.array([1, 2, 3]))]
    ['wholly_masked_word', 'wholly_masked_word', 'wholly_masked_word']
    """
    begins = rows.planes["word_start"] | rows.planes["special"] | (rows.position_in_row == 0)
    word = np.cumsum(begins) - 1
    pieces = np.bincount(word)
    chosen = np.bincount(word[positions], minlength=len(pieces))
    pieces_of, chosen_of = pieces[word[positions]], chosen[word[positions]]
    return np.where(pieces_of == 1, 0, np.where(chosen_of < pieces_of, 1, 2))


@dataclass(frozen=True)
class Measured:
    """Sums over the chosen pieces; add two to merge batches. `summary` divides."""

    asked: int
    nats: float
    num_bytes: int
    right: int
    right_by_kind: np.ndarray
    asked_by_kind: np.ndarray
    neighbour_right: int | None
    frequent_right: int | None

    @staticmethod
    def empty() -> Measured:
        nothing = np.zeros(len(KINDS), dtype=np.int64)
        return Measured(0, 0.0, 0, 0, nothing, nothing, None, None)

    @staticmethod
    def of(
        rows: Rows,
        chosen: AskedInPlace,
        *,
        surprise: np.ndarray,
        right: np.ndarray,
        neighbour_right: np.ndarray | None,
        frequent_right: np.ndarray | None,
        piece_bytes: np.ndarray,
    ) -> Measured:
        kinds = kinds_of(rows, chosen.positions)
        return Measured(
            asked=len(right),
            nats=float(surprise.sum()),
            num_bytes=int(piece_bytes[chosen.target_ids].sum()),
            right=int(right.sum()),
            right_by_kind=np.bincount(kinds, weights=right, minlength=len(KINDS)).astype(np.int64),
            asked_by_kind=np.bincount(kinds, minlength=len(KINDS)),
            neighbour_right=None if neighbour_right is None else int(neighbour_right.sum()),
            frequent_right=None if frequent_right is None else int(frequent_right.sum()),
        )

    def __add__(self, other: Measured) -> Measured:
        return Measured(
            asked=self.asked + other.asked,
            nats=self.nats + other.nats,
            num_bytes=self.num_bytes + other.num_bytes,
            right=self.right + other.right,
            right_by_kind=self.right_by_kind + other.right_by_kind,
            asked_by_kind=self.asked_by_kind + other.asked_by_kind,
            neighbour_right=_plus(self.neighbour_right, other.neighbour_right),
            frequent_right=_plus(self.frequent_right, other.frequent_right),
        )

    def summary(self) -> dict[str, dict[str, float]]:
        """`measures` (loss in nats a piece, bits per byte, accuracies), `baselines` (accuracies), `counts`."""
        asked = max(self.asked, 1)
        measures = {
            "loss": self.nats / asked,
            "bits_per_byte": self.nats / math.log(2) / max(self.num_bytes, 1),
            "masked_accuracy": self.right / asked,
        }
        for kind, right, total in zip(KINDS, self.right_by_kind, self.asked_by_kind):
            if total:
                measures[f"accuracy_{kind}"] = float(right / total)
        baselines = {}
        if self.frequent_right is not None:
            baselines["most_frequent_piece"] = self.frequent_right / asked
        if self.neighbour_right is not None:
            baselines["left_and_right_neighbour"] = self.neighbour_right / asked
        counts = {"asked": float(self.asked)} | {k: float(n) for k, n in zip(KINDS, self.asked_by_kind)}
        return {"measures": measures, "baselines": baselines, "counts": counts}


def _plus(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
