"""The words of texts as numbers, so that lists of phrases can be found, and phrases counted, by array arithmetic."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from afterbert.base.noise import mix
from afterbert.base.rows import starts_of
from afterbert.text.pieces.characters import APOSTROPHE, HAN, HYPHEN, SPACE, kind_table
from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes.word_start import WordStart

_LAST_CASED = 0x1E943  # Adlam; no letter behind it has two cases


@dataclass(frozen=True)
class TextWords:
    """W words, flat through all texts; Han characters stand alone here, even where a segmenter joins them.

    starts: int64 [W], first characters; is_start: bool [C], the same; hashes: uint64 [W], equal for equal
    words (for others with a chance of 2**-64); is_whole: bool [W], a word of the plane word_start begins here;
    stretches: int64 [W], rising: no phrase reaches over the end of a text or an empty line.
    """

    starts: np.ndarray
    is_start: np.ndarray
    hashes: np.ndarray
    is_whole: np.ndarray
    stretches: np.ndarray


def words_of(encoded: EncodedTexts, plane: WordStart, *, keeps_case: bool) -> TextWords:
    """Returns the words of these texts. White space around a word is no part of it; all apostrophes are one, and so are
    all hyphens."""
    is_start = replace(plane, chinese="characters", unspaced="characters").first_characters(encoded)
    starts = np.flatnonzero(is_start)
    is_whole = np.ones(len(starts), dtype=bool)
    if plane.chinese != "characters" and (encoded.kinds == HAN).any():
        is_whole = plane.first_characters(encoded)[starts]
    lines = starts_of(encoded.characters == ord("\n"))[starts]
    breaks = np.append(np.diff(lines, prepend=0) > 1, False)
    breaks[np.searchsorted(starts, encoded.text_starts)] = True
    return TextWords(
        starts, is_start, hashes_of(encoded, starts, keeps_case=keeps_case), is_whole, np.cumsum(breaks[:-1])
    )


def text_of(encoded: EncodedTexts, characters: np.ndarray) -> np.ndarray:
    """Returns the text in which each of these characters [N] stands, int64 [N]."""
    return np.searchsorted(encoded.text_starts, characters, side="right") - 1


def followed_by(hashes: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Returns the hashes of sequences [N] with one more word [N] after them, uint64 [N]."""
    return mix(hashes) ^ words


def hashes_of(encoded: EncodedTexts, starts: np.ndarray, *, keeps_case: bool) -> np.ndarray:
    """Returns for each word the sum over its characters of a hash of (character, place in the word), uint64 [W]."""
    if not len(starts):
        return np.zeros(0, np.uint64)
    size = len(encoded.characters)
    places = np.arange(starts[0], size) - np.repeat(starts, np.diff(starts, append=size))
    shown = _alike(keeps_case)[encoded.characters[starts[0] :]]
    by_character = mix(shown | places.astype(np.uint64) << np.uint64(32))
    by_character[encoded.kinds[starts[0] :] == SPACE] = 0
    return np.add.reduceat(by_character, starts - starts[0])


@cache
def _alike(keeps_case: bool) -> np.ndarray:
    """uint64 [code points]: what stands for each character. Case is folded one character to one: `ß` is not `ss`."""
    table = np.arange(len(kind_table()), dtype=np.uint64)
    if not keeps_case:
        for number in range(_LAST_CASED + 1):
            folded = next((c for c in (chr(number).casefold(), chr(number).lower()) if len(c) == 1), None)
            table[number] = ord(folded) if folded else number
    for kind, mark in ((APOSTROPHE, "'"), (HYPHEN, "-")):
        table[kind_table() == kind] = ord(mark)
    return table
