"""Filled samples as running text to be shown: how good each guess was.

A piece is what it adds to a text: its leading space included where it begins a word (`text.pieces.spelling`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from afterbert.probes.samples import Guess
from afterbert.report import figures
from afterbert.report.run_record import Filled

Grade = Literal["", "right", "near", "wrong"]

_MOST_SAMPLES = 12
_MOST_PIECES = 400


@dataclass(frozen=True)
class ShownGuess:
    """A guess, its probability as written and as a bar's width in percent."""

    text: str
    probability: str
    width: float
    is_true: bool


@dataclass(frozen=True)
class Word:
    """A piece as shown. `is_joined`: no space stands before it.

    truth: the hidden piece as it stands in the text; entry: the same as a dictionary writes it.
    """

    text: str
    is_joined: bool
    truth: str = ""
    entry: str = ""
    action: str = ""
    action_name: str = ""
    grade: Grade = ""
    guesses: tuple[ShownGuess, ...] = ()


def filled_texts(samples: Sequence[Filled]) -> list[list[Word]]:
    """Returns the first few filled rows, each as words, with the model's first guesses in the gaps."""
    return [[*map(_filled_word, one.pieces[:_MOST_PIECES])] for one in samples[:_MOST_SAMPLES]]


def _filled_word(piece: Guess) -> Word:
    truth = (piece.truth or piece.text) if piece.masked else piece.text
    is_joined = not truth.startswith(" ")
    if not piece.masked:
        return Word(truth.strip() or truth, is_joined)
    right = [text == truth for text, _ in piece.guesses[:5]]
    return Word(
        piece.guesses[0][0].strip() if piece.guesses else "?",
        is_joined,
        truth=truth.strip() or truth,
        entry=_entry(truth),
        grade="right" if right[:1] == [True] else "near" if any(right) else "wrong",
        guesses=tuple(_guess(text, p, is_true) for (text, p), is_true in zip(piece.guesses, right)),
    )


def _guess(text: str, probability: float, is_true: bool) -> ShownGuess:
    width = 100 * min(max(probability, 0.0), 1.0) if math.isfinite(probability) else 0.0
    return ShownGuess(_entry(text), figures.percent(probability), round(width, 1), is_true)


def _entry(piece: str) -> str:
    """A piece as a dictionary writes it: what continues a word begins with a hyphen.

    >>> _entry("able"), _entry(" able"), _entry(",")
    ('-able', 'able', ',')
    """
    return f"-{piece}" if piece[:1].isalpha() and piece.isascii() else piece.strip() or piece
