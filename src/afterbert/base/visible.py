"""Text from strangers, so that nothing in it acts: control and direction characters are shown as signs."""

import unicodedata

# Zero-width joiner and non-joiner are part of spelling (Persian, Indic scripts, emoji).
_HARMLESS = {"\n", "\t", "\u200c", "\u200d"}
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    """Returns `text` with every invisible or acting character replaced by a sign for it.

    >>> visible("a\\x1b[31m \\u202e!")
    'a␛[31m ⟨U+202E⟩!'
    """
    if text.isprintable():
        return text
    return "".join(c if c in _HARMLESS else _sign(c) for c in text)


def visible_line(text: str) -> str:
    """Returns `text` as one line, with signs for line ends too.

    >>> visible_line("one\\ntwo")
    'one␊two'
    """
    return visible(text).replace("\n", _sign("\n")).replace("\t", " ")


def _sign(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    number = ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    return "␡" if number == 0x7F else f"⟨U+{number:04X}⟩"
