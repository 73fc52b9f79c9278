"""Where words begin: the unit of whole word masking.

Source: whole word masking of BERT's release (May 2019) and of Cui et al. 2019 (1906.08101) for Chinese. Both
follow their tokenizer, which makes three words of `don't`, and one masked `t` is told by `don '`. Here a word
is a property of the text, so that it is the same for every tokenizer:

- a word is a longest run of letters, digits and the marks on them (`naïve`, `3`, `B2B`);
- an apostrophe between two letters belongs to the word (`don't` is one word), a hyphen does not
  (`well-known` is three: compounds are open-ended, and their parts are words); both can be set;
- every other visible character is a word of its own: `3.14` is three words, as it is for BERT;
- marks, zero-width characters and what a joiner ties belong to the character before (an emoji family is one
  word);
- letters of scripts without spaces (Thai, Lao, Khmer, Myanmar, Hiragana) stand alone, each with its marks;
  so do Han characters, but in Chinese the segmenter of the `zh` extra (jieba's) says which of them make one
  word;
- white space belongs to the word after it, as it does in the pieces of byte-level BPE and Unigram.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import starts_of
from afterbert.text.pieces.characters import APOSTROPHE, HAN, HYPHEN, JOINER, LETTER, MARK, OTHER, SPACE, before_space
from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes import Plane

_INSTALL = "pip install 'afterbert[zh]'"


@dataclass(frozen=True)
class WordStart(Plane):
    """apostrophes, hyphens: whether one between two letters is inside the word or stands alone. chinese: words by
    jieba, or each character a word; jieba where it is installed, when not given."""

    apostrophes: Literal["inside", "alone"] = "inside"
    hyphens: Literal["inside", "alone"] = "alone"
    chinese: Literal["jieba", "characters"] | None = None

    def __post_init__(self) -> None:
        if self.chinese == "jieba" and not _has_jieba():
            raise UserError(f"plane word_start wants jieba, which is not installed; {_INSTALL}")

    def settled(self) -> WordStart:
        return replace(self, chinese=self.chinese or ("jieba" if _has_jieba() else "characters"))

    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        is_start = self.first_characters(encoded)
        return encoded.pieces_with_start(before_space(is_start, encoded.kinds, encoded.text_starts))

    def first_characters(self, encoded: EncodedTexts) -> np.ndarray:
        """bool [C]: the characters of the texts with which words begin, white space left out."""
        kinds = encoded.kinds.copy()
        is_first = np.zeros(len(kinds), dtype=bool)
        is_first[encoded.text_starts[:-1][np.diff(encoded.text_starts) > 0]] = True
        is_start = self._starts(encoded.characters, kinds, is_first)
        if (kinds == HAN).any() and self._wants_jieba():
            _follow_jieba(is_start, kinds, encoded)
        return is_start

    def _starts(self, characters: np.ndarray, kinds: np.ndarray, is_first: np.ndarray) -> np.ndarray:
        """bool [C]: the first character of each word. Changes `kinds`: what is inside a word becomes a letter."""
        kinds[(kinds == MARK) & _after(kinds == SPACE, is_first, at_first=True)] = OTHER
        is_mark = kinds == MARK
        carrier = np.maximum.accumulate(np.where(is_mark, 0, np.arange(len(kinds))))
        between_letters = (
            _after((kinds == LETTER)[carrier], is_first, at_first=False)
            & np.append(kinds[1:] == LETTER, False)
            & ~np.append(is_first[1:], True)
        )
        inside = [(APOSTROPHE, self.apostrophes), (HYPHEN, self.hyphens)]
        for kind in [kind for kind, place in inside if place == "inside"]:
            kinds[(kinds == kind) & between_letters] = LETTER
        is_letter = kinds == LETTER
        goes_on = is_mark | _after(characters == JOINER, is_first, at_first=False)
        goes_on |= is_letter & _after(is_letter[carrier], is_first, at_first=False)
        return (kinds != SPACE) & ~goes_on

    def _wants_jieba(self) -> bool:
        if self.chinese is None and not _has_jieba():
            warnings.warn(f"Chinese text, but no segmenter: each character counts as a word; {_INSTALL}", stacklevel=2)
            return False
        return self.chinese != "characters"


def _has_jieba() -> bool:
    return importlib.util.find_spec("rjieba") is not None


def _after(flags: np.ndarray, is_first: np.ndarray, *, at_first: bool) -> np.ndarray:
    """bool [C]: the flag of the character before, within the text."""
    return np.where(is_first, at_first, np.append(at_first, flags[:-1]))


def _follow_jieba(is_start: np.ndarray, kinds: np.ndarray, encoded: EncodedTexts) -> None:
    """Takes jieba's word for every Han character that follows another one; in Chinese texts only: not those
    that are said to be Japanese or hold Hiragana, whose words jieba does not know."""
    import rjieba

    starts = encoded.text_starts
    hiragana = (encoded.characters >= 0x3040) & (encoded.characters <= 0x309F)
    has_han, has_hiragana = (np.diff(starts_of(flags)[starts]) > 0 for flags in (kinds == HAN, hiragana))
    for number in np.flatnonzero(has_han & ~has_hiragana):
        if (encoded.languages[number] or "zh").startswith("ja"):
            continue
        begin, end = starts[number], starts[number + 1]
        lengths = np.fromiter(map(len, rjieba.cut(encoded.texts[number])), np.int64)
        assert lengths.sum() == end - begin, "jieba's words add up to their text"
        is_word = np.zeros(end - begin, dtype=bool)
        is_word[starts_of(lengths)[:-1]] = True
        han = kinds[begin:end] == HAN
        inner = np.flatnonzero(han & np.append(False, han[:-1]))
        is_start[begin + inner] = is_word[inner]
