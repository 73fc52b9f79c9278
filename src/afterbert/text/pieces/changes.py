"""What a tokenizer changes in a text before it makes pieces: case, marks, forms of letters, by script."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from afterbert.text.pieces.characters import code_points
from afterbert.text.pieces.tokenizer import Tokenizer

# First words of Unicode names that tell a form of a letter and not its script.
_FORMS = ("FULLWIDTH", "HALFWIDTH", "MODIFIER", "MATHEMATICAL", "SMALL")
_SPACE = "\u2581"
_AT_ONCE = 1 << 20


class CharacterCounts:
    """Counts how often each character stands in texts, a million characters at a time.

    >>> counts = CharacterCounts()
    >>> counts.add("ab"), counts.add("b"), counts.total()
    (None, None, {97: 1, 98: 2})
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._size = 0
        self._counts = np.zeros(0, dtype=np.int64)

    def add(self, text: str) -> None:
        """Counts the characters of one more text."""
        self._texts.append(text)
        self._size += len(text)
        if self._size >= _AT_ONCE:
            self._count()

    def total(self) -> dict[int, int]:
        """Returns code point -> count, up to now."""
        self._count()
        codes = np.flatnonzero(self._counts)
        return dict(zip(codes.tolist(), self._counts[codes].tolist()))

    def _count(self) -> None:
        found = np.bincount(code_points("".join(self._texts)), minlength=len(self._counts))
        found[: len(self._counts)] += self._counts
        self._counts, self._texts, self._size = found, [], 0


def changes_of(tokenizer: Tokenizer, characters: Mapping[int, int]) -> dict[str, list[int]]:
    """Returns script -> how many of its letters and marks the tokenizer changes or leaves out, and how many there are,
    for scripts in which it changes some, the most changed first. characters: code point -> count. A mark that stands
    alone is counted by itself; how marks and letters are put together is no change.

    >>> from afterbert.text.tokenizers.wordpiece import WordPiece
    >>> made = WordPiece(vocab_size=64, min_frequency=1, lowercase=True).make(["a b"] * 9, corpus_bytes=99)
    >>> changes_of(made, Counter(map(ord, "Aé bж")))
    {'Latin': [2, 3]}
    """
    normalizer: Any = tokenizer.backend.normalizer
    if normalizer is None:
        return {}
    changed, found = Counter[str](), Counter[str]()
    for code, count in characters.items():
        character = chr(code)
        if unicodedata.category(character)[0] not in "LM":
            continue
        script = script_of(character)
        found[script] += count
        made = normalizer.normalize_str(character).strip().removeprefix(_SPACE)
        if unicodedata.normalize("NFC", made) != unicodedata.normalize("NFC", character):
            changed[script] += count
    return {script: [count, found[script]] for script, count in changed.most_common()}


def script_of(character: str) -> str:
    """Returns the script of a letter or mark, by its name in Unicode.

    >>> script_of("é"), script_of("ж"), script_of("ﾂ"), script_of("\u0301")
    ('Latin', 'Cyrillic', 'Katakana', 'Combining')
    """
    words = unicodedata.name(character, "UNNAMED").split()
    word = next((word for word in words if word not in _FORMS), words[0])
    return "CJK" if word == "CJK" else word.capitalize()
