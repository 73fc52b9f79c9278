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
- letters of scripts without spaces (Thai, Lao, Khmer, Myanmar, Hiragana) stand alone, each with its marks, and so
  do Han characters, where no segmenter is there: in Chinese that of the `zh` extra (jieba's) says which of them make
  one word, in the others (and for Han characters in Japanese) ICU's dictionaries, extra `icu`;
- white space belongs to the word after it, as it does in the pieces of byte-level BPE and Unigram.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import flags_at, starts_of
from afterbert.text.pieces.characters import (
    APOSTROPHE,
    HAN,
    HYPHEN,
    JOINER,
    LETTER,
    MARK,
    OTHER,
    SPACE,
    UNSPACED,
    before_space,
)
from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes import Plane

#: Where words of scripts without spaces come from: module -> extra.
_MODULES = {"rjieba": "zh", "icu": "icu"}


@dataclass(frozen=True)
class WordStart(Plane):
    """apostrophes, hyphens: whether one between two letters is inside the word or stands alone. chinese, unspaced (the
    other scripts without spaces): words by a segmenter, or each character a word; the segmenter where it is installed,
    when not given."""

    apostrophes: Literal["inside", "alone"] = "inside"
    hyphens: Literal["inside", "alone"] = "alone"
    chinese: Literal["jieba", "characters"] | None = None
    unspaced: Literal["icu", "characters"] | None = None

    def __post_init__(self) -> None:
        for asked, module in ((self.chinese, "rjieba"), (self.unspaced, "icu")):
            if asked not in (None, "characters") and not _has(module):
                raise UserError(f"plane word_start needs {asked}, which is not installed; {_install(module)}")

    def settled(self) -> WordStart:
        chinese = self.chinese or ("jieba" if _has("rjieba") else "characters")
        return replace(self, chinese=chinese, unspaced=self.unspaced or ("icu" if _has("icu") else "characters"))

    def __call__(self, encoded: EncodedTexts) -> np.ndarray:
        is_start = self.first_characters(encoded)
        return encoded.pieces_with_start(before_space(is_start, encoded.kinds, encoded.text_starts))

    def first_characters(self, encoded: EncodedTexts) -> np.ndarray:
        """Returns the characters of the texts with which words begin, bool [C], without white space."""
        kinds = encoded.kinds.copy()
        is_first = flags_at(encoded.text_starts[:-1][np.diff(encoded.text_starts) > 0], len(kinds))
        is_start = self._starts(encoded.characters, kinds, is_first)
        if (kinds == HAN).any() and _wants(self.chinese, "rjieba", "Chinese"):
            _follow_jieba(is_start, kinds, encoded)
        if (kinds == UNSPACED).any() and _wants(self.unspaced, "icu", "Thai, Khmer, Lao, Burmese or Japanese"):
            _follow_icu(is_start, kinds, encoded)
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


#: Where each letter of a script without spaces is a word of its own.
CHARACTERS = WordStart(chinese="characters", unspaced="characters")


def _wants(asked: str | None, module: str, text: str) -> bool:
    """Whether a segmenter cuts this kind of text; warns where it would and is not installed."""
    if asked is None and not _has(module):
        said = f"{text} text, but no segmenter: each character counts as a word; {_install(module)}"
        warnings.warn(said, stacklevel=3)
        return False
    return asked != "characters"


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _install(module: str) -> str:
    return f"pip install 'afterbert[{_MODULES[module]}]'"


def _after(flags: np.ndarray, is_first: np.ndarray, *, at_first: bool) -> np.ndarray:
    """bool [C]: the flag of the character before, within the text."""
    return np.where(is_first, at_first, np.append(at_first, flags[:-1]))


def _follow_jieba(is_start: np.ndarray, kinds: np.ndarray, encoded: EncodedTexts) -> None:
    """Takes jieba's word for every Han character that follows another one; in Chinese texts only: not those
    that are said to be Japanese or hold Hiragana, whose words jieba does not know."""
    import rjieba

    starts = encoded.text_starts
    for number in np.flatnonzero(_has_any(kinds == HAN, starts) & ~_is_japanese(encoded)):
        begin, end = starts[number], starts[number + 1]
        lengths = np.fromiter(map(len, rjieba.cut(encoded.texts[number])), np.int64)
        assert lengths.sum() == end - begin, "jieba's words add up to their text"
        is_word = flags_at(starts_of(lengths)[:-1], end - begin)
        han = kinds[begin:end] == HAN
        inner = np.flatnonzero(han & np.append(False, han[:-1]))
        is_start[begin + inner] = is_word[inner]


def _follow_icu(is_start: np.ndarray, kinds: np.ndarray, encoded: EncodedTexts) -> None:
    """Takes ICU's word boundaries between letters of scripts without spaces, in Japanese of Han characters too."""
    import icu

    cutter = icu.BreakIterator.createWordInstance(icu.Locale.getRoot())
    starts, is_japanese = encoded.text_starts, _is_japanese(encoded)
    for number in np.flatnonzero(_has_any(kinds == UNSPACED, starts)):
        here = slice(starts[number], starts[number + 1])
        cutter.setText(encoded.texts[number])
        units = starts_of(1 + (encoded.characters[here] > 0xFFFF))  # it counts in UTF-16
        is_word = np.isin(units[:-1], np.fromiter(cutter, np.int64))
        theirs = (kinds[here] == UNSPACED) | ((kinds[here] == HAN) & is_japanese[number])
        # a mark is what the letter before it is
        carrier = np.maximum.accumulate(np.where(kinds[here] == MARK, 0, np.arange(len(theirs))))
        inner = theirs & np.append(False, theirs[carrier][:-1])
        is_start[here] = np.where(inner, is_word, is_start[here])


def _has_any(flags: np.ndarray, text_starts: np.ndarray) -> np.ndarray:
    """bool [D]: whether a flag [C] is set in a text."""
    found: np.ndarray = np.diff(starts_of(flags)[text_starts]) > 0
    return found


def _is_japanese(encoded: EncodedTexts) -> np.ndarray:
    """bool [D]: the texts that are told as Japanese or hold Hiragana."""
    hiragana = (encoded.characters >= 0x3040) & (encoded.characters <= 0x309F)
    told = [(language or "").startswith("ja") for language in encoded.languages]
    return _has_any(hiragana, encoded.text_starts) | np.array(told, dtype=bool)
