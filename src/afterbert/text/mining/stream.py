"""The words of many texts in one line, as numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import starts_of
from afterbert.text.pieces.characters import APOSTROPHE, HAN, HYPHEN, LETTER, UNSPACED
from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes._words import hashes_of
from afterbert.text.planes.word_start import WordStart

_BLOCK_CHARACTERS = 1_000_000
_WORD_KINDS = (LETTER, UNSPACED, HAN)
_TYING_KINDS = (APOSTROPHE, HYPHEN)
_TYING_MARKS = tuple(map(ord, ".&"))


@dataclass(frozen=True)
class WordStream:
    """W words and marks of some texts, one behind the other.

    words: int32 [W], equal for words that count as equal; forms: int32 [W], equal for words written alike;
    is_word: bool [W]; is_tie: bool [W], a mark that may stand within a phrase (`Mr. Darcy`, `mother-in-law`,
    `Q&A`); follows: bool [W], the word before stands in the same line. begins: int64 [W+1], characters through
    all texts, by which `text` cuts.
    """

    texts: Sequence[str]
    words: np.ndarray
    forms: np.ndarray
    is_word: np.ndarray
    is_tie: np.ndarray
    follows: np.ndarray
    begins: np.ndarray

    @cached_property
    def _text_starts(self) -> np.ndarray:
        return starts_of(np.fromiter(map(len, self.texts), np.int64, len(self.texts)))

    def text(self, first: int, count: int) -> str:
        """Gives the text at these words, white space made one space."""
        begin, end = self.begins[first], self.begins[first + count]
        number = int(np.searchsorted(self._text_starts, begin, side="right")) - 1
        start = self._text_starts[number]
        return " ".join(self.texts[number][begin - start : end - start].split())


def stream_of(
    texts: Sequence[str], languages: Sequence[str | None], plane: WordStart, *, keeps_case: bool
) -> WordStream:
    """Returns the words of these texts, as `plane` finds them. Raises UserError if there are none."""
    blocks, offset = [], 0
    for some in _blocks(texts):
        encoded = EncodedTexts.without_pieces(texts[some], languages[some])
        blocks.append(_columns(encoded, plane, keeps_case, offset))
        offset += len(encoded.characters)
    words, forms, is_word, is_tie, follows, begins = map(np.concatenate, zip(*blocks))
    if not is_word.any():
        raise UserError("the texts hold no words; name other texts")
    words, forms = (np.unique(hashes, return_inverse=True)[1].astype(np.int32) for hashes in (words, forms))
    return WordStream(texts, words, forms, is_word, is_tie, follows, np.append(begins, offset))


def _blocks(texts: Sequence[str]) -> Iterator[slice]:
    """The texts, about a megabyte at a time."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts))) // _BLOCK_CHARACTERS
    edges = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(texts)]
    return (slice(begin, end) for begin, end in pairwise(edges))


def _columns(encoded: EncodedTexts, plane: WordStart, keeps_case: bool, offset: int) -> tuple[np.ndarray, ...]:
    """Of a block of texts what `WordStream` has, but for the texts; words and forms by their hashes."""
    starts = np.flatnonzero(plane.first_characters(encoded))
    kinds = encoded.kinds[starts]
    lines = starts_of(encoded.characters == ord("\n"))[starts]
    follows = np.append(np.diff(lines, prepend=0) == 0, True)
    follows[np.searchsorted(starts, encoded.text_starts)] = False
    return (
        hashes_of(encoded, starts, keeps_case=keeps_case),
        hashes_of(encoded, starts, keeps_case=True),
        np.isin(kinds, _WORD_KINDS),
        np.isin(kinds, _TYING_KINDS) | np.isin(encoded.characters[starts], _TYING_MARKS),
        follows[:-1],
        starts + offset,
    )
