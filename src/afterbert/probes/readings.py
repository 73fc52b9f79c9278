"""How each kind of model is asked for the likelihood of a text, piece by piece.

Sources. Pseudo-log-likelihood: Salazar et al. 2020 (1910.14659), Section 2; within words from left to right: Kauf and
Ivanova 2023 (2305.10588), which hides the later pieces of a word as well, since else they give away the earlier ones
and long rare words look likely. A permutation model is asked the same by its query stream: the hidden pieces come
last in the order, so nothing stands in their place. An encoder-decoder has no usual way. `written_by_word` is the
within-word pseudo-likelihood in the form it was trained on: one mark stands for a word (a sentinel, as in T5, or the
mask of a span, as in BART), and the decoder writes the word: behind that sentinel, or at its place in the text.
`written_whole` hides everything behind one mark and takes the decoder's likelihood of the text, a true one;
minicons (Misra 2022, 2203.13112) does so with an empty source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.likelihood import Question
from afterbert.models import Architecture
from afterbert.text.pieces.frame import Frame
from afterbert.text.pieces.tokenizer import Tokenizer

Reading = Literal[
    "masked",
    "within_word",
    "left_to_right",
    "masked_by_order",
    "within_word_by_order",
    "written_by_word",
    "written_whole",
]


@dataclass(frozen=True)
class TextPieces:
    """A text without special pieces. ids: [T]; words: [T], the number of the word that each piece belongs to."""

    ids: np.ndarray
    words: np.ndarray

    @staticmethod
    def of(text: str, tokenizer: Tokenizer) -> TextPieces:
        """Returns the pieces of a text with the words that they belong to, as the tokenizer splits them."""
        encoding = tokenizer.plain.encode(text, add_special_tokens=False)
        words = [-1 if number is None else number for number in encoding.word_ids]
        return TextPieces(np.array(encoding.ids, dtype=np.int64), np.array(words, dtype=np.int64))


def reading_of(architecture: Architecture) -> Reading:
    """Returns the usual reading for a kind of model."""
    if architecture.writes == "apart":
        return "written_by_word"
    usual: dict[str, Reading] = {
        "left_to_right": "left_to_right",
        "by_order": "within_word_by_order",
        "both_ways": "within_word",
    }
    return usual[architecture.reads]


def question(text: TextPieces, reading: Reading, frame: Frame, vocabulary: Vocabulary) -> Question:
    """Returns everything that is asked of one text. Raises UserError if the vocabulary lacks a mark."""
    if reading == "left_to_right":
        return _left_to_right(text, vocabulary)
    if reading == "written_whole":
        return _written(text, frame, vocabulary, [np.arange(len(text.ids))])
    if reading == "written_by_word":
        change = np.flatnonzero(np.diff(text.words)) + 1
        return _written(text, frame, vocabulary, np.split(np.arange(len(text.ids)), change))
    return _hidden_in_turn(text, reading, frame, vocabulary)


def _left_to_right(text: TextPieces, known: Vocabulary) -> Question:
    """One row, asked for the next piece at every place; it begins with a special piece, so that the first word is
    asked for too."""
    begin = known.beginning
    row = text.ids if begin is None else np.concatenate(([begin], text.ids))
    asked = Question(rows=[row[:-1]])
    asked.ask(range(len(row) - 1), row[1:])
    return asked


def _hidden_in_turn(text: TextPieces, reading: Reading, frame: Frame, known: Vocabulary) -> Question:
    """One row for each piece, the piece (and the later ones of its word) hidden."""
    ids = np.concatenate((frame.before, text.ids, frame.behind)).astype(np.int64)
    first = len(frame.before)
    asked = Question()
    for at, piece in enumerate(text.ids):
        is_hidden = np.zeros(len(ids), dtype=bool)
        is_hidden[first + at] = True
        if reading.startswith("within_word"):
            later = np.flatnonzero(text.words[at:] == text.words[at]) + at
            is_hidden[first + later] = True
        if reading.endswith("by_order"):
            ranks = is_hidden.astype(np.int64) * 2
            ranks[first + at] = 1
            asked.rows.append(ids)
            asked.ranks.append(ranks)
        else:
            asked.rows.append(np.where(is_hidden, known.need("mask"), ids))
        asked.ask([first + at], [piece])
    return asked


def _written(text: TextPieces, frame: Frame, known: Vocabulary, hidden: Sequence[np.ndarray]) -> Question:
    """One row for each stretch of hidden places, which the decoder writes."""
    has_sentinels = bool(known.sentinels)
    mark = known.sentinels[0] if has_sentinels else known.need("mask")
    asked = Question()
    for places in hidden:
        first, end = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
        read = (frame.before, text.ids[:first], [mark], text.ids[end:], frame.behind)
        asked.rows.append(np.concatenate(read).astype(np.int64))
        if has_sentinels:
            start, lead = known.pad if known.pad is not None else known.need("eos"), [mark]
        else:
            start, lead = known.need("eos"), [*frame.before, *text.ids[:first]]
        asked.written.append(np.array([start, *lead, *text.ids[first:end][:-1]], dtype=np.int64))
        asked.ask(range(len(lead), len(lead) + end - first), text.ids[first:end])
    return asked
