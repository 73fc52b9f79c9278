"""One question that every kind of model can be asked, whatever it was trained on: which word was taken out here?

A word is taken out of a text, without any mark. The model reads what is left, and a linear classifier on its frozen
states of the two neighbours names the word, one of the most frequent ones. Nothing in the question belongs to one
objective: there is no mask, nothing to write, no next piece, and no labels are needed. So a run of BERT, ELECTRA, T5
and GPT-2 can be laid side by side. A model that reads from left to right knows one word behind the gap, in its second
state; that is its own weakness, not the question's.

Sources: a linear classifier on frozen states of words, beside the same on random weights: Tenney et al. 2019
(1905.06316), Zhang and Bowman 2018 (1809.10040). The classifier is Fisher's linear discriminant, which has a closed
form: the same figure everywhere, in a fraction of a second. This very question is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from afterbert.base.noise import Noise
from afterbert.base.numbers import Count
from afterbert.base.rows import Rows, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Backbone
from afterbert.nn.inputs import Inputs
from afterbert.nn.visibility import PaddedVisibility
from afterbert.pretext.pairings.packed import Packed
from afterbert.probes.count_baselines import CountBaselines
from afterbert.probes.figure import Figure
from afterbert.text.token_store.store import Split
from afterbert.training.devices import device_of

# One seed for all evaluations for ever: changing it makes figures incomparable.
_SEED = 20_190_515
# A gap in every so many pieces at most, never at the edge of such a stretch, so that gaps never touch.
_STRETCH = 8
_MOST_COUNTED = 5_000_000
_SHRINKAGES = (0.03, 0.3)

NAME = "which frequent word was taken out, by a linear probe on frozen states"


@dataclass(frozen=True)
class MissingWord:
    """The question. Answers, rows, gaps and noise are the same for all models with one tokenizer."""

    answers: Annotated[int, Field(gt=1)] = 100
    """How many of the most frequent words that are a single piece may be asked."""
    rows_to_learn: Annotated[int, Field(gt=1)] = 384
    """Rows of the training split from which the classifier learns, a fifth of them to choose the layer by."""
    rows_to_ask: Annotated[int, Field(gt=1)] = 384
    """Held-out rows."""
    length: Annotated[int, Field(ge=8)] = 128
    """Pieces in a row before the words are taken out."""
    layers: Count = 4
    """How many layers are tried, evenly spaced, the last always among them."""
    batch_size: Count = 32

    @staticmethod
    def of_length(length: int) -> MissingWord:
        """Returns the question on rows of this length; with shorter rows more of them, to ask as many words.

        >>> MissingWord.of_length(16).rows_to_ask, MissingWord.of_length(128) == MissingWord()
        (3072, True)
        """
        usual = MissingWord()
        more = max(1, usual.length // length)
        return MissingWord(
            length=length,
            rows_to_learn=usual.rows_to_learn * more,
            rows_to_ask=usual.rows_to_ask * more,
            batch_size=usual.batch_size * more,
        )

    def __call__(
        self, backbone: Backbone, control: Backbone, train: Split, held_out: Split, vocabulary: Vocabulary
    ) -> Figure | None:
        """The share of right answers with its 95% interval, beside the same probe on `control` (random weights), the
        most frequent word, and what counting guesses from both neighbours. None if there are too few gaps.

        Both backbones are in evaluation mode. The interval tells how much the figure would move with other held-out
        rows of this kind; it treats each row as one draw.
        """
        counts = _WordCounts.of(train, vocabulary, self.answers)
        learned, asked = (
            _Gaps.of(self._rows(split, vocabulary, count), counts.answers)
            for split, count in ((train, self.rows_to_learn), (held_out, self.rows_to_ask))
        )
        # a fifth of the rows is kept back, so there must be five
        if len(counts.answers) < 2 or len(np.unique(learned.row)) < 5 or not len(asked.answer):
            return None
        right = self._probe(backbone, learned, asked, vocabulary) == asked.answer
        by_chance = self._probe(control, learned, asked, vocabulary) == asked.answer
        counted = counts.baselines.guess(asked.left_ids, asked.right_ids)
        beside = {
            "random weights": float(by_chance.mean()),
            "counting neighbours": float((counted == counts.answers[asked.answer]).mean()),
            "most frequent word": float((asked.answer == 0).mean()),
        }
        rows = _by_row(right, asked.row)
        return Figure(
            NAME,
            float(right.mean()),
            beside,
            len(right),
            _interval(rows),
            tuple((one, of) for one, of in rows.tolist()),
        )

    def _rows(self, split: Split, vocabulary: Vocabulary, count: int) -> Rows:
        plan = Packed().plan(split, length=self.length, vocabulary=vocabulary, noise=Noise(_SEED))
        count = min(count, len(plan))
        return plan.rows(np.arange(count) * len(plan) // max(count, 1))

    def _probe(self, backbone: Backbone, learned: _Gaps, asked: _Gaps, vocabulary: Vocabulary) -> np.ndarray:
        """The answer [N] to each asked gap, from the layer that serves best on rows that were kept back."""
        known, new = (self._features(backbone, gaps, vocabulary) for gaps in (learned, asked))
        answer, kept = torch.from_numpy(learned.answer), torch.from_numpy(learned.row % 5 == 0)
        best: tuple[float, int, float] = (-1.0, 0, 0.0)
        for layer, states in enumerate(known):
            for shrinkage in _SHRINKAGES:
                guess = _discriminant(states[~kept], answer[~kept], states[kept], shrinkage)
                share = float((guess == answer[kept]).double().mean())
                best = max(best, (share, layer, shrinkage))
        _, layer, shrinkage = best
        return _discriminant(known[layer], answer, new[layer], shrinkage).numpy()

    def _features(self, backbone: Backbone, gaps: _Gaps, vocabulary: Vocabulary) -> list[Tensor]:
        """For each layer that is tried the states of both neighbours, float32 [N, 2 D]."""
        found: list[list[Tensor]] = []
        for inputs, left in gaps.batches(self.batch_size, vocabulary, device_of(backbone)):
            with torch.inference_mode():
                kept = backbone.layers(inputs)
                assert kept.last is not None
                states = [*kept.hidden[:-1], kept.last]
                steps = np.unique(np.linspace(0, len(states) - 1, self.layers + 1).round().astype(int))[1:]
                both = [states[step].flatten(0, 1) for step in steps]
                found.append([torch.cat((one[left], one[left + 1]), dim=1).float().cpu() for one in both])
        return [torch.cat(parts) for parts in zip(*found)]


@dataclass(frozen=True)
class _WordCounts:
    """answers: int64 [K], the most frequent words of one piece, the most frequent first; baselines: what stands
    between which neighbours, counted for these words only."""

    answers: np.ndarray
    baselines: CountBaselines

    @staticmethod
    def of(split: Split, vocabulary: Vocabulary, most: int) -> _WordCounts:
        index = np.arange(min(_MOST_COUNTED, split.num_pieces))
        pieces = split.pieces(index).astype(np.int64)
        alone = _is_word(split.plane("word_start", index)) if "word_start" in split.plane_names else pieces >= 0
        alone = alone & ~vocabulary.is_special[pieces]
        counts = np.bincount(pieces[alone], minlength=vocabulary.size)
        answers = np.lexsort((np.arange(len(counts)), -counts))[:most]
        answers = answers[counts[answers] > 0]
        is_answer = np.zeros(vocabulary.size, dtype=bool)
        is_answer[answers] = True
        return _WordCounts(answers, CountBaselines.of(pieces, vocabulary.size, alone & is_answer[pieces]))


@dataclass(frozen=True)
class _Gaps:
    """Rows without the words that were taken out. row, place: [N], where the left neighbour of each gap stands now;
    answer: [N], the number of the word among the answers; left_ids, right_ids: [N], the neighbours."""

    rows: Rows
    row: np.ndarray
    place: np.ndarray
    answer: np.ndarray
    left_ids: np.ndarray
    right_ids: np.ndarray

    @staticmethod
    def of(rows: Rows, answers: np.ndarray) -> _Gaps:
        """One gap in a stretch of pieces at most, where a frequent word of one piece stands between two pieces."""
        special = rows.planes["special"]
        alone = _is_word(rows.planes["word_start"] | special) if "word_start" in rows.planes else ~special
        number = np.full(int(max(answers.max(initial=0), rows.piece_ids.max(initial=0))) + 1, -1)
        number[answers] = np.arange(len(answers))
        inner = np.isin(rows.position_in_row % _STRETCH, (0, _STRETCH - 1), invert=True)
        near_special = special | np.roll(special, 1) | np.roll(special, -1)
        candidates = np.flatnonzero(alone & inner & ~near_special & (number[rows.piece_ids] >= 0))
        drawn = Noise(_SEED).of("gap").uniform(rows.keys_of[candidates], rows.position_in_row[candidates])
        stretch = rows.row_of[candidates] * (1 << 20) + rows.position_in_row[candidates] // _STRETCH
        order = np.lexsort((drawn, stretch))
        first = np.flatnonzero(np.diff(stretch[order], prepend=-1))
        gone = np.sort(candidates[order[first]])
        stays = np.ones(rows.num_pieces, dtype=bool)
        stays[gone] = False
        lengths = np.bincount(rows.row_of[stays], minlength=len(rows))
        planes = {name: rows.planes[name][stays] for name in ("language",) if name in rows.planes}
        left = Rows(rows.piece_ids[stays], starts_of(lengths), rows.keys, planes)
        row = rows.row_of[gone]
        now = np.cumsum(stays)[gone] - 1 - left.row_starts[row]
        ids = rows.piece_ids.astype(np.int64)
        return _Gaps(left, row, now, number[ids[gone]], ids[gone - 1], ids[gone + 1])

    def batches(self, size: int, vocabulary: Vocabulary, device: torch.device | str) -> Iterator[tuple[Inputs, Tensor]]:
        """The rows in batches, each with the flat places of the gaps' left neighbours in it, in the gaps' order."""
        for first in range(0, len(self.rows), size):
            last = min(first + size, len(self.rows))
            starts = self.rows.row_starts[first : last + 1]
            part = slice(int(starts[0]), int(starts[-1]))
            planes = {name: self.rows.planes[name][part] for name in self.rows.planes}
            rows = Rows(self.rows.piece_ids[part], starts - starts[0], self.rows.keys[first:last], planes)
            width = int(rows.lengths.max(initial=1))

            def padded(values: np.ndarray, fill: int, rows: Rows = rows, width: int = width) -> Tensor:
                laid = rows.padded(values, fill=fill, length=width).astype(np.int64)
                return torch.as_tensor(laid, device=device)

            languages = padded(planes["language"], 0) if "language" in planes else None
            lengths = torch.as_tensor(rows.lengths, device=device)
            inputs = Inputs(
                padded(rows.piece_ids, vocabulary.pad or 0),
                language_ids=languages,
                visibility=PaddedVisibility(lengths=lengths),
            )
            mine = (self.row >= first) & (self.row < last)
            places = (self.row[mine] - first) * width + self.place[mine]
            yield inputs, torch.as_tensor(places, device=device)


def _is_word(starts: np.ndarray) -> np.ndarray:
    """bool [T]: pieces that are a whole word, from bool [T] that says where words start."""
    return starts.astype(bool) & np.append(starts[1:], True).astype(bool)


def _discriminant(known: Tensor, labels: Tensor, asked: Tensor, shrinkage: float) -> Tensor:
    """Fisher's linear discriminant: learned from float [N, D] with labels [N], the label of each row of [M, D].

    The spread within classes is shrunk towards its diagonal by so much, for there are few rows in many dimensions.
    """
    known, asked = known.double(), asked.double()
    size = int(labels.max()) + 1
    counts = torch.bincount(labels, minlength=size).double()
    means = torch.zeros(size, known.shape[1], dtype=known.dtype).index_add(0, labels, known)
    means = means / counts.clamp(min=1)[:, None]
    within = known - means[labels]
    scale = within.pow(2).mean(0).sqrt().clamp(min=1e-12)
    within, centres = within / scale, means / scale
    spread = within.T @ within / len(within) * (1 - shrinkage)
    spread.diagonal().add_(shrinkage)
    weights = torch.linalg.solve(spread, centres.T)
    start = counts.log() - 0.5 * (centres.T * weights).sum(0)
    return (asked / scale @ weights + start).argmax(1)


def _by_row(right: np.ndarray, row: np.ndarray) -> np.ndarray:
    """int64 [B, 2]: right answers and questions of each row, from bool [N] and the rows [N] of the questions."""
    _, number = np.unique(row, return_inverse=True)
    return np.stack([np.bincount(number, weights=right), np.bincount(number)], axis=1).astype(np.int64)


def _interval(rows: np.ndarray) -> tuple[float, float]:
    """95% of the share of right answers, from right and asked [B, 2] of each row, for rows are drawn and not answers
    one by one: the linearised variance of a ratio of sums."""
    right, asked = rows[:, 0], rows[:, 1]
    share, count = float(right.sum() / asked.sum()), len(rows)
    excess = right - share * asked
    error = float(np.sqrt(count / max(count - 1, 1) * (excess**2).sum()) / asked.sum())
    return max(0.0, share - 1.96 * error), min(1.0, share + 1.96 * error)
