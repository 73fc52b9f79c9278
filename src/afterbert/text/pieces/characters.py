"""What kind of character each one is, as arrays: white space, letters, letters of scripts without spaces, marks, the
rest.

Everything that cuts text into words works on these kinds. They come from the Unicode tables of the running Python.
"""

import re
import sys
import unicodedata
from functools import cache

import numpy as np

from afterbert.base.rows import flags_at

SPACE, LETTER, UNSPACED, HAN, MARK, APOSTROPHE, HYPHEN, OTHER = range(8)

# Scripts written without spaces between words: a run of such letters is not a word. Katakana, mostly loan
# words, stays together.
_UNSPACED_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x309F),  # Hiragana
)
_HAN_BLOCKS = (
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
# All but these code points are private or not assigned; asking for each of a million takes a quarter of a second.
_ASSIGNED = ((0x0000, 0x3FFFF), (0xE0000, 0xE0FFF))
_EAST = 0x2E80  # below it stand most scripts that have spaces, and kinds are known in no time
_REGIONAL = (0x1F1E6, 0x1F1FF)  # pairs of these are flags; a run of them is one word
_SKIN_TONES = (0x1F3FB, 0x1F3FF)
_LONG_VOWELS = (0x30FC, 0xFF70)  # Japanese signs that lengthen the letter before
JOINER = 0x200D


@cache
def kind_table(end: int = sys.maxunicode + 1) -> np.ndarray:
    """Returns the kind of each code point below `end`, uint8 [end]."""
    by_category = {"Z": SPACE, "L": LETTER, "N": LETTER, "M": MARK}
    table = np.full(end, OTHER, dtype=np.uint8)
    for first, last in _ASSIGNED:
        categories = map(unicodedata.category, map(chr, range(first, min(last + 1, end))))
        kinds = [MARK if name == "Cf" else by_category.get(name[0], OTHER) for name in categories]
        table[first : first + len(kinds)] = kinds
    table[[0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85]] = SPACE
    for blocks, kind in ((_UNSPACED_BLOCKS, UNSPACED), (_HAN_BLOCKS, HAN)):
        for first, last in blocks:
            block = table[first : last + 1]
            block[block == LETTER] = kind
    table[_REGIONAL[0] : _REGIONAL[1] + 1] = LETTER
    table[_SKIN_TONES[0] : _SKIN_TONES[1] + 1] = MARK
    if end > max(_LONG_VOWELS):
        table[list(_LONG_VOWELS)] = MARK
    table[[0x27, 0x2019]] = APOSTROPHE
    table[[0x2D, 0x2010, 0x2011]] = HYPHEN
    return table


@cache
def words() -> re.Pattern[str]:
    """Finds stretches of letters and digits with the marks on them, to which the vowel signs of many scripts belong.

    >>> words().findall("don't, किताब!")
    ['don', 't', 'किताब']
    """
    marks = "".join(map(chr, np.flatnonzero(kind_table() == MARK)))
    return re.compile(rf"\w[\w{marks}]*")


def code_points(text: str) -> np.ndarray:
    """Returns the code points of a text, uint32 [characters].

    >>> code_points("aß").tolist()
    [97, 223]
    """
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def kinds_of(characters: np.ndarray) -> np.ndarray:
    """Returns the kinds of these code points, uint8 [C].

    >>> kinds_of(code_points("a 我'")).tolist() == [LETTER, SPACE, HAN, APOSTROPHE]
    True
    """
    return (kind_table() if len(characters) and characters.max() >= _EAST else kind_table(_EAST))[characters]


def before_space(is_start: np.ndarray, kinds: np.ndarray, text_starts: np.ndarray) -> np.ndarray:
    """Returns starts [C], bool, moved before the white space in front of them, which belongs to what follows it.

    kinds: uint8 [C]; text_starts: int64 [D+1]; no start is moved out of its text.

    >>> kinds = kinds_of(code_points("a  b"))
    >>> before_space(np.array([True, False, False, True]), kinds, np.array([0, 4])).tolist()
    [True, True, False, False]
    """
    index = np.arange(len(kinds))
    is_space = kinds == SPACE
    after_visible = np.append(True, ~is_space[:-1])
    after_visible[text_starts[:-1][np.diff(text_starts) > 0]] = True
    run_begins = np.maximum.accumulate(np.where(after_visible, index, 0))
    starts = np.flatnonzero(is_start)
    has_space = ~after_visible[starts]
    return flags_at(np.where(has_space, run_begins[starts - has_space], starts), len(kinds))
