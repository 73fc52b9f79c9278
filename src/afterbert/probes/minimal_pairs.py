"""Which of two almost equal sentences does a model find likelier? Nothing is trained.

Source: BLiMP (Warstadt et al. 2020, 1912.00582). Scores are sums over pieces, not divided by the length, as BLiMP
does. How each kind of model is asked: `readings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from afterbert.base.vocabulary import Vocabulary
from afterbert.probes.readings import Frame, Question, Reading, TextPieces, question
from afterbert.text.pieces.tokenizer import Tokenizer

Predict = Callable[[Mapping[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Preferences:
    """preferred: int64 [N], 0 where the first sentence of a pair is likelier, else 1 (also for a tie);
    margins: float64 [N], by how much the first one is; accuracy: share of 0, overall and by group."""

    preferred: np.ndarray
    margins: np.ndarray
    accuracy: float
    by_group: Mapping[str, float]

    @staticmethod
    def of(margins: np.ndarray, groups: Sequence[str] = ()) -> Preferences:
        """From the margins [N] and, where there are groups, the name of each pair's."""
        is_right = margins > 0
        names = np.array(groups, dtype=object)
        return Preferences(
            preferred=(~is_right).astype(np.int64),
            margins=margins,
            accuracy=float(is_right.mean()) if len(margins) else 0.0,
            by_group={str(name): float(is_right[names == name].mean()) for name in sorted(set(names))},
        )


@dataclass(frozen=True)
class MinimalPairsProbe:
    """pieces_at_once: of a batch, padding included."""

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
        return Preferences.of(margins, groups or ())

    def log_likelihoods(
        self,
        predict: Predict,
        tokenizer: Tokenizer,
        sentences: Sequence[str],
        *,
        device: torch.device | str = "cpu",
    ) -> np.ndarray:
        """float64 [N], natural logarithm: of each sentence, or its pseudo-likelihood."""
        texts = [TextPieces.of(sentence, tokenizer) for sentence in sentences]
        return self.of_pieces(predict, texts, Frame.of(tokenizer), tokenizer.vocabulary, device=device)

    def of_pieces(
        self,
        predict: Predict,
        texts: Sequence[TextPieces],
        frame: Frame,
        vocabulary: Vocabulary,
        *,
        device: torch.device | str = "cpu",
    ) -> np.ndarray:
        """Asks about texts that are cut into pieces already."""
        questions = [question(text, self.reading, frame, vocabulary) for text in texts]
        totals = np.zeros(len(texts))
        for numbers in self._batches(questions):
            arrays, owner = _joined([questions[i] for i in numbers], pad=vocabulary.pad or 0)
            tensors = {name: torch.as_tensor(array, device=device) for name, array in arrays.items()}
            with torch.inference_mode():
                logits = predict(tensors).float()
                chosen = logits.log_softmax(-1).gather(1, tensors["target_ids"][:, None])[:, 0]
            np.add.at(totals, np.array(numbers)[owner], chosen.double().cpu().numpy())
        return totals

    def _batches(self, questions: Sequence[Question]) -> Iterator[list[int]]:
        """Sentences of like length, so many that their rows fit `pieces_at_once`; a long sentence alone, one without
        pieces not at all."""
        batch: list[int] = []
        num_rows = 0
        asked = [number for number, one in enumerate(questions) if one.target_ids]
        for number in sorted(asked, key=lambda i: questions[i].width):
            height, width = len(questions[number].rows), questions[number].width
            if batch and (num_rows + height) * width > self.pieces_at_once:
                yield batch
                batch, num_rows = [], 0
            batch.append(number)
            num_rows += height
        if batch:
            yield batch


def short_enough(pairs: Sequence[tuple[str, str]], tokenizer: Tokenizer, *, longest: int) -> list[int]:
    """The numbers of the pairs that a model can read whose rows have `longest` pieces at most: with the special pieces
    around a sentence, and the one that an encoder-decoder's writing begins with."""
    frame = Frame.of(tokenizer)
    room = longest - len(frame.before) - len(frame.behind) - 1
    fits = {
        sentence: len(TextPieces.of(sentence, tokenizer).ids) <= room
        for sentence in {s for pair in pairs for s in pair}
    }
    return [number for number, pair in enumerate(pairs) if all(fits[sentence] for sentence in pair)]


def _joined(questions: Sequence[Question], *, pad: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The arrays of one batch, and which of the questions each asked place belongs to [Q]."""
    rows = [row for one in questions for row in one.rows]
    first = np.concatenate(([0], np.cumsum([len(one.rows) for one in questions])))
    row = np.concatenate([np.array(one.row) + at for one, at in zip(questions, first)])
    place = np.concatenate([one.place for one in questions])
    arrays = {
        "input_ids": _filled(rows, pad),
        "visible_lengths": np.array([len(one) for one in rows]),
        "target_ids": np.concatenate([one.target_ids for one in questions]),
    }
    width = arrays["input_ids"].shape[1]
    written = [one for question in questions for one in question.written]
    ranks = [one for question in questions for one in question.ranks]
    if written:
        arrays["decoder_input_ids"] = _filled(written, pad)
        width = arrays["decoder_input_ids"].shape[1]
    if ranks:
        # The query stream runs at the asked places only: one in each row.
        assert np.array_equal(row, np.arange(len(rows)))
        arrays |= {"visible_rank": _filled(ranks, 3), "query_positions": place[:, None]}
        width, place = 1, np.zeros_like(place)
    arrays["chosen"] = row * width + place
    return arrays, np.repeat(np.arange(len(questions)), [len(one.row) for one in questions])


def _filled(rows: Sequence[np.ndarray], fill: int) -> np.ndarray:
    """int64 [B, T] from rows of their own lengths."""
    found = np.full((len(rows), max(map(len, rows))), fill, dtype=np.int64)
    for line, row in zip(found, rows):
        line[: len(row)] = row
    return found
