"""Which of two almost equal sentences does a model find likelier? Nothing is trained.

Sources: BLiMP (Warstadt et al. 2020, 1912.00582); pseudo-log-likelihood: Salazar et al. 2020 (1910.14659),
Section 2; its within-word left-to-right variant: Kauf and Ivanova 2023 (2305.10588), which hides the later
pieces of a word as well, since else they give away the earlier ones and long rare words look likely. Scores
are sums over pieces, not divided by the length, as BLiMP does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.interop.importing import import_folder
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.nn.visibility import PaddedVisibility
from afterbert.text.tokenizer import Tokenizer
from afterbert.text.tokenizers.pretrained import Pretrained

Reading = Literal["masked", "within_word", "left_to_right"]
Predict = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Preferences:
    """preferred: int64 [N], 0 where the first sentence of a pair is likelier, else 1 (also for a tie);
    margins: float64 [N], by how much the first one is; accuracy: share of 0, overall and by group."""

    preferred: np.ndarray
    margins: np.ndarray
    accuracy: float
    by_group: Mapping[str, float]


@dataclass(frozen=True)
class MinimalPairs:
    """reading: `masked` hides one piece at a time, `within_word` also the later pieces of its word,
    `left_to_right` is a causal model's own way. pieces_at_once: of a batch, padding included."""

    reading: Reading = "within_word"
    pieces_at_once: Annotated[int, Field(gt=0)] = 16_384

    def __call__(
        self,
        predict: Predict,
        tokenizer: Tokenizer,
        pairs: Sequence[tuple[str, str]],
        groups: Sequence[str] | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> Preferences:
        """predict: a batch's arrays -> logits [N, V] at its `chosen` places. groups: a name for each pair."""
        sentences = sorted({sentence for pair in pairs for sentence in pair})
        found = dict(zip(sentences, self.log_likelihoods(predict, tokenizer, sentences, device=device)))
        margins = np.array([found[first] - found[second] for first, second in pairs])
        is_right = margins > 0
        names = np.array(list(groups) if groups is not None else [], dtype=object)
        return Preferences(
            preferred=(~is_right).astype(np.int64),
            margins=margins,
            accuracy=float(is_right.mean()) if len(pairs) else 0.0,
            by_group={str(name): float(is_right[names == name].mean()) for name in sorted(set(names))},
        )

    def log_likelihoods(
        self,
        predict: Predict,
        tokenizer: Tokenizer,
        sentences: Sequence[str],
        *,
        device: torch.device | str = "cpu",
    ) -> np.ndarray:
        """float64 [N], natural logarithm: of each sentence, or its pseudo-likelihood."""
        pose = self._left_to_right if self.reading == "left_to_right" else self._hidden_in_turn
        questions = [pose(sentence, tokenizer) for sentence in sentences]
        totals = np.zeros(len(sentences))
        pad = tokenizer.vocabulary.pad or 0
        for numbers in self._batches(questions):
            arrays, owner = _joined([questions[i] for i in numbers], pad=pad, reading=self.reading)
            tensors = {name: torch.as_tensor(array, device=device) for name, array in arrays.items()}
            with torch.inference_mode():
                logits = predict(tensors).float()
                chosen = logits.log_softmax(-1).gather(1, tensors["target_ids"][:, None])[:, 0]
            np.add.at(totals, np.array(numbers)[owner], chosen.double().cpu().numpy())
        return totals

    def _hidden_in_turn(self, sentence: str, tokenizer: Tokenizer) -> _Question:
        """One row for each piece, the piece (and the rest of its word) hidden."""
        encoding = tokenizer.plain.encode(sentence)
        ids = np.array(encoding.ids, dtype=np.int64)
        places = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
        is_hidden = places[:, None] == np.arange(len(ids))
        if self.reading == "within_word":
            word = np.array([-1 if number is None else number for number in encoding.word_ids])
            is_hidden |= (word[places][:, None] == word) & (np.arange(len(ids)) > places[:, None])
        rows = np.where(is_hidden, tokenizer.vocabulary.need("mask"), ids)
        return _Question(rows, np.arange(len(places)), places, ids[places])

    def _left_to_right(self, sentence: str, tokenizer: Tokenizer) -> _Question:
        """One row, asked for the next piece at every place; it begins with a special piece, so that the first
        word is asked for too."""
        ids = np.array(tokenizer.encode(sentence), dtype=np.int64)
        known = tokenizer.vocabulary
        begin = next((one for one in (known.bos, known.cls, known.eos) if one is not None), None)
        row = ids if begin is None else np.concatenate(([begin], ids))
        places = np.arange(len(row) - 1)
        return _Question(row[None], np.zeros_like(places), places, row[1:])

    def _batches(self, questions: Sequence[_Question]) -> Iterator[list[int]]:
        """Sentences of like length, so many that their rows fit `pieces_at_once`; a long sentence alone."""
        batch: list[int] = []
        num_rows = 0
        for number in sorted(range(len(questions)), key=lambda i: questions[i].rows.shape[1]):
            height, width = questions[number].rows.shape
            if batch and (num_rows + height) * width > self.pieces_at_once:
                yield batch
                batch, num_rows = [], 0
            batch.append(number)
            num_rows += height
        if batch:
            yield batch


@dataclass(frozen=True)
class _Question:
    """rows: [R, T] ids; row, place, target_ids: [Q], what is asked where."""

    rows: np.ndarray
    row: np.ndarray
    place: np.ndarray
    target_ids: np.ndarray


def _joined(
    questions: Sequence[_Question], *, pad: int, reading: Reading
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The arrays of one batch, and which of the questions each asked place belongs to [Q]."""
    heights = [len(question.rows) for question in questions]
    width = max(question.rows.shape[1] for question in questions)
    first = np.concatenate(([0], np.cumsum(heights)))
    ids = np.full((first[-1], width), pad, dtype=np.int64)
    for question, at in zip(questions, first):
        ids[at : at + len(question.rows), : question.rows.shape[1]] = question.rows
    chosen = [(question.row + at) * width + question.place for question, at in zip(questions, first)]
    arrays = {
        "input_ids": ids,
        "chosen": np.concatenate(chosen),
        "target_ids": np.concatenate([question.target_ids for question in questions]),
    }
    if reading == "left_to_right":
        arrays["visible_causal"] = np.zeros(0, dtype=bool)
    else:
        arrays["visible_lengths"] = np.repeat([question.rows.shape[1] for question in questions], heights)
    return arrays, np.repeat(np.arange(len(questions)), [len(question.place) for question in questions])


@dataclass(frozen=True)
class Reader:
    """A language model of either kind, in evaluation mode, with the reading that fits it."""

    backbone: nn.Module
    lm_head: nn.Module
    tokenizer: Tokenizer
    reading: Reading

    @staticmethod
    def load(name: str | Path, *, device: torch.device | str = "cpu") -> Reader:
        """From a run folder (its `model/`), a Hugging Face folder, or a hub name. Raises UserError where it
        has no language-model head."""
        path = Path(name) / "model"
        imported = import_folder(path if (path / "config.json").is_file() else name)
        # A head that is nothing but the table of pieces (GPT-2's) is never missing.
        size = imported.architecture.vocab_size or 0
        if imported.lm_head is None and imported.architecture.num_lm_head_parameters(size):
            raise UserError(
                f"{name} has no language-model head, so it cannot say how likely a sentence is; choose one that has"
            )
        if imported.tokenizer is None:
            raise UserError(f"{name} has no tokenizer.json, so texts cannot be cut into its pieces; add it")
        if not isinstance(imported.architecture, (Encoder, Decoder)):
            raise UserError(
                f"{name} is neither an encoder nor a decoder; sentences are scored by these two only"
            )
        backbone, lm_head = imported.build()
        return Reader(
            backbone.to(device).eval(),
            lm_head.to(device).eval(),
            Pretrained(name=str(imported.tokenizer)).make([], corpus_bytes=0),
            "left_to_right" if isinstance(imported.architecture, Decoder) else "within_word",
        )

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Logits [N, V] at the chosen places of a batch."""
        hidden = self.backbone(arrays["input_ids"], visibility=PaddedVisibility.of(arrays))
        return self.lm_head(hidden.flatten(0, 1)[arrays["chosen"]])
