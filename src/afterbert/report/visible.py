"""Text from strangers, so that nothing in it acts: control and direction characters shown, Markdown's signs
escaped.

HTML's own signs are escaped by Jinja2 (autoescape, never switched off); this is what autoescape does not do.
"""

from __future__ import annotations

import re
import unicodedata

# Zero-width joiner and non-joiner are part of spelling (Persian, Indic scripts, emoji).
_HARMLESS = {"\n", "\t", "\u200c", "\u200d"}
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_MARKDOWN = re.compile(r"[\\`*_\[\]|~#!]")


def visible(text: str) -> str:
    """`text` with every character that would act unseen replaced by a sign for it.

    >>> visible("a\\x1b[31m \\u202e!")
    'a␛[31m ⟨U+202E⟩!'
    """
    if text.isprintable():
        return text
    return "".join(c if c in _HARMLESS else _sign(c) for c in text)


def _sign(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    number = ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    return "␡" if number == 0x7F else f"⟨U+{number:04X}⟩"


def in_markdown(text: str) -> str:
    r"""`text` as it is, in one line of Markdown or a cell of its tables.

    >>> print(in_markdown("a|b <i> `c`"))
    a\|b &lt;i&gt; \`c\`
    """
    flat = " ".join(visible(text).split())
    entities = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(lambda found: "\\" + found[0], entities)
