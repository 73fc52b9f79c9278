"""The words of a running text, for tasks that tag words: the same words that whole word masking hides."""

import re
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from afterbert.text.pieces.encoding import EncodedTexts
from afterbert.text.planes.word_start import CHARACTERS


@dataclass(frozen=True)
class FoundWords:
    """The words of one text, in order."""

    text: str
    words: tuple[str, ...]
    begins: tuple[int, ...]
    """The character of the text at which each word begins."""

    @property
    def joined_begins(self) -> list[int]:
        """Where each word begins when they are joined by single spaces."""
        return list(accumulate((len(word) + 1 for word in self.words[:-1]), initial=0)) if self.words else []


def words_in(text: str) -> FoundWords:
    """Finds the words; punctuation stands alone, and so does each character of a script without spaces.

    >>> words_in("Ada lives in New-York.").words
    ('Ada', 'lives', 'in', 'New', '-', 'York', '.')
    >>> words_in("नमस्ते दुनिया").begins, words_in("我在北京").words
    ((0, 7), ('我', '在', '北', '京'))
    """
    encoded = EncodedTexts.without_pieces([text])
    begins = np.flatnonzero(CHARACTERS.first_characters(encoded)).tolist()
    words = tuple(text[a:b].rstrip() for a, b in zip(begins, [*begins[1:], len(text)]))
    return FoundWords(text, words, tuple(begins))


def words_between_spaces(text: str) -> FoundWords:
    """Returns the words as white space separates them.

    >>> words_between_spaces("in New-York .")
    FoundWords(text='in New-York .', words=('in', 'New-York', '.'), begins=(0, 3, 12))
    """
    found = list(re.finditer(r"\S+", text))
    return FoundWords(text, tuple(one[0] for one in found), tuple(one.start() for one in found))
