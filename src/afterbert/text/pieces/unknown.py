"""Unknown pieces: how many there are, and how many are too many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.text.pieces.encoding import PieceEncoder
from afterbert.text.pieces.tokenizer import Tokenizer

#: a model of more unknown pieces learns little else, and looks good at it
MOST_UNKNOWN = 0.1
_REMEDY = "take a tokenizer that knows every text: --tokenizer bpe or --tokenizer byte_level_bpe"


@dataclass(frozen=True)
class UnknownPieces:
    """The number of unknown pieces among `total`.

    >>> print(UnknownPieces(30, 1000).of("these texts"))
    the tokenizer does not know 30 of the 1,000 pieces of these texts (3.0%)
    """

    unknown: int = 0
    total: int = 0

    @staticmethod
    def among(piece_ids: np.ndarray, vocabulary: Vocabulary) -> UnknownPieces:
        """Counts pieces [T] of running text; special ones do not count."""
        specials = int(np.isin(piece_ids, vocabulary.boundaries).sum())
        return UnknownPieces(int((piece_ids == vocabulary.unknown).sum()), len(piece_ids) - specials)

    @staticmethod
    def in_texts(texts: Sequence[str], tokenizer: Tokenizer) -> UnknownPieces:
        """Counts the pieces that a tokenizer makes of texts."""
        return UnknownPieces.among(PieceEncoder(tokenizer)(texts).piece_ids, tokenizer.vocabulary)

    def __add__(self, other: UnknownPieces) -> UnknownPieces:
        return UnknownPieces(self.unknown + other.unknown, self.total + other.total)

    def of(self, whose: str) -> str:
        """Returns a sentence for the user."""
        share = self.unknown / max(1, self.total)
        return f"the tokenizer does not know {self.unknown:,} of the {self.total:,} pieces of {whose} ({share:.1%})"

    def check(self, most: float, *, whose: str = "these texts", remedy: str = _REMEDY) -> list[str]:
        """Returns a sentence for the user when some pieces are unknown. whose: the texts, and remedy, both in words.
        Raises UserError for a larger share than `most`."""
        if self.unknown > most * self.total:
            raise UserError(
                f"{self.of(whose)}; more than {most:.0%} teach a model nothing, and its answers are guesses; {remedy}, "
                "or raise --max-unknown"
            )
        return [self.of(whose)] if self.unknown else []
