"""Word and sentence starts found slowly, one character at a time, from the rule in word_start's docstring
alone."""

from __future__ import annotations

import unicodedata

import sentencex

ZWJ = "\u200d"


def kind_of(character: str) -> str:
    """space, mark, letter, alone (letters of scripts without spaces), han, quote, hyphen or other."""
    name, category = unicodedata.name(character, ""), unicodedata.category(character)
    if character.isspace() and character not in "\x1c\x1d\x1e\x1f":
        return "space"
    if category[0] == "M" or category == "Cf" or "EMOJI MODIFIER" in name or "PROLONGED SOUND" in name:
        return "mark"
    if category[0] in "LN":
        if name.startswith(("CJK", "IDEOGRAPHIC", "KANGXI")):
            return "han"
        return "alone" if name.startswith(("THAI", "LAO", "HIRAGANA", "MYANMAR", "KHMER")) else "letter"
    if "REGIONAL INDICATOR" in name:
        return "letter"
    return {"'": "quote", "’": "quote", "-": "hyphen", "‐": "hyphen", "‑": "hyphen"}.get(character, "other")


def word_numbers(
    text: str, *, hyphens: bool = False, apostrophes: bool = True, chinese: set[int] | None = None
) -> list[int]:
    """The number of the word each character belongs to, white space to the word after it. chinese: places at
    which a segmenter says that a word starts."""
    kinds = [kind_of(c) for c in text]
    inside = {name for name, said in (("quote", apostrophes), ("hyphen", hyphens)) if said}
    numbers: list[int] = []
    word, carrier, pending = -1, "space", 0
    for i, kind in enumerate(kinds):
        if kind == "space":
            pending += 1
            carrier = "space"
            continue
        follows = carrier != "space"
        next_is_letter = i + 1 < len(text) and kinds[i + 1] == "letter"
        if kind in inside and carrier == "letter" and next_is_letter:
            kind = "letter"
        if kind == "mark" and follows:
            same = True
        elif follows and text[i - 1] == ZWJ:
            same, carrier = True, kind
        else:
            if kind == "mark":
                kind = "other"
            same = kind == "letter" and carrier == "letter"
            if kind == "han" and carrier == "han" and chinese is not None:
                same = i not in chinese
            carrier = kind
        if not same:
            word += 1
        numbers += [word] * (pending + 1)
        pending = 0
    return numbers + [max(word, 0)] * pending


def starts(numbers: list[int], spans: list[tuple[int, int]]) -> list[bool]:
    """For each piece, whether it is the first to reach a new number."""
    found, reached = [], -1
    for i, (begin, end) in enumerate(spans):
        until = max(end, 1 if i == 0 else begin)
        newest = max(numbers[:until], default=0)
        found.append(i == 0 or newest > reached)
        reached = max(reached, newest)
    return found


def sentence_numbers(text: str, language: str) -> list[int]:
    """The number of the sentence each character belongs to, white space to the sentence after it."""
    numbers: list[int] = []
    sentence, pending = -1, 0
    for part in sentencex.segment(language, text):
        opened = False
        for character in part:
            if character.isspace() and character not in "\x1c\x1d\x1e\x1f":
                pending += 1
                continue
            sentence, opened = sentence + (not opened), True
            numbers += [sentence] * (pending + 1)
            pending = 0
    return numbers + [max(sentence, 0)] * pending
