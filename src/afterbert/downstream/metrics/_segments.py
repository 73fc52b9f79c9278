"""Text as comparable words in any script: no list of languages, no dictionary."""

import re
import unicodedata
from functools import cache
from itertools import groupby

# Scripts written without spaces between words, by Unicode block: Thai and Lao, Myanmar, Khmer, kana, Han with
# its extensions.
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def segments(text: str) -> list[str]:
    """Words in lower case without punctuation; a character at a time in scripts without spaces.

    >>> segments("Die Straße, 3. Haus"), segments("我爱 BERT！")
    (['die', 'strasse', '3', 'haus'], ['我', '爱', 'bert'])
    """
    found: list[str] = []
    for kind, run in groupby(unicodedata.normalize("NFKC", text).casefold(), key=_kind):
        if kind == "word":
            found.append("".join(run))
        elif kind == "alone":
            found.extend(run)
    return found


@cache
def _kind(character: str) -> str:
    # Marks (vowel signs of Devanagari, points of Hebrew) are parts of words, though `re` and `str.isalnum`
    # say no.
    is_word = character.isalnum() or unicodedata.category(character).startswith("M")
    if is_word and _WITHOUT_SPACES.match(character):
        return "alone"
    return "word" if is_word else ""
