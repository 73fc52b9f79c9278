"""How well does a model fill in masked pieces of held-out text? The same question for every model and every recipe.

Packed rows, a fixed share of pieces, all of them shown as the mask, fixed noise: so two runs on one store answer the
very same questions, whatever they were trained on. Beside it stands what counting alone would guess.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

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
from afterbert.text.pieces.spelling import Spellings
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.token_store.by_language import by_language
from afterbert.text.token_store.store import Split, Store

# One seed for all evaluations for ever: changing it makes figures incomparable.
_SEED = 20_190_811

# The kinds of chosen pieces that are told apart.
KINDS = ("one_piece_word", "word_otherwise_visible", "wholly_masked_word")


@dataclass(frozen=True)
class MaskedPrediction:
    """Asks for masked pieces of held-out rows."""

    rate: InnerShare = 0.15
    """The share of pieces asked about."""
    unit: str = "piece"
    """What is hidden whole (`word` asks the same text under any vocabulary)."""
    max_rows: Count = 512
    """How many rows are taken, spread evenly over the split."""
    length: Annotated[int, Field(ge=8)] = 128
    """The pieces of a row."""
    batch_size: Count = 32

    def __call__(
        self,
        predict: Callable[[Mapping[str, Tensor]], Tensor],
        split: Split,
        tokenizer: Tokenizer,
        *,
        baselines: CountBaselines | None = None,
        device: torch.device | str = "cpu",
    ) -> dict[str, Any]:
        """Asks `predict` (a batch's arrays -> logits [N, V] at its chosen places) about a split. Returns `measures`
        (loss in nats a piece, bits per byte, accuracies), `baselines` (accuracies of counting, where counts are given)
        and `counts` of what was asked."""
        sizes, nats, answered = Spellings.of(tokenizer).sizes, 0.0, []
        for batch, posed, rows in self.questions(split, tokenizer.vocabulary):
            arrays = {name: torch.as_tensor(array, device=device) for name, array in batch.arrays.items()}
            with torch.inference_mode():
                logits = predict(arrays).float()
                surprise = torch.nn.functional.cross_entropy(logits, arrays["target_ids"], reduction="none")
                right = (logits.argmax(-1) == arrays["target_ids"]).cpu().numpy()
            chosen = next(asked for asked in posed.asked if isinstance(asked, AskedInPlace))
            nats += float(surprise.double().cpu().numpy().sum())
            found = {"bytes": sizes[chosen.target_ids], "kind": kinds_of(rows, chosen.positions), "right": right}
            if baselines is not None:
                found["most_frequent_piece"] = chosen.target_ids == baselines.most_frequent
                found["left_and_right_neighbour"] = _neighbour_guess(posed, chosen, baselines) == chosen.target_ids
            answered.append(found)
        each = {name: np.concatenate([one[name] for one in answered]) for name in answered[0]}
        asked = max(len(each["kind"]), 1)
        of_kind = {name: each["kind"] == number for number, name in enumerate(KINDS)}
        measures = {
            "loss": nats / asked,
            "bits_per_byte": nats / math.log(2) / max(int(each["bytes"].sum()), 1),
            "masked_accuracy": int(each["right"].sum()) / asked,
            **{
                f"accuracy_{name}": float(each["right"][those].mean()) for name, those in of_kind.items() if those.any()
            },
        }
        counts = {"asked": float(len(each["kind"]))} | {name: float(those.sum()) for name, those in of_kind.items()}
        guesses = {name: int(each[name].sum()) / asked for name in list(each)[3:]}
        return {"measures": measures, "baselines": guesses, "counts": counts}

    def of_store(
        self,
        predict: Callable[[Mapping[str, Tensor]], Tensor],
        store: Store,
        split: Split,
        *,
        device: torch.device | str = "cpu",
    ) -> dict[str, Any]:
        """Asks about a split of a store. Returns the same, for held-out text with the baselines that its training text
        gives, and where the split has several languages `languages`: the measures of each."""
        counted = (
            CountBaselines.count(store.split("train"), store.vocabulary.size) if split.name == "held_out" else None
        )
        found = self(predict, split, store.tokenizer, baselines=counted, device=device)
        parts = by_language(split, store.languages)
        if len(parts) > 1:
            each = {name: self(predict, part, store.tokenizer, device=device) for name, part in parts.items()}
            found["languages"] = {
                name: one["measures"] | {"asked": one["counts"]["asked"]} for name, one in each.items()
            }
        return found

    def questions(self, split: Split, vocabulary: Vocabulary) -> Iterator[tuple[Batch, Posed, Rows]]:
        """Yields each batch for the model, the same batch as a posed task, and its rows before the masks."""
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
    """Returns for each chosen position [N] the index into KINDS: how much of its word can still be seen.

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
