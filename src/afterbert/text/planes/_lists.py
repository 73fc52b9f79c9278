"""A list of phrases from a file: one a line, or a table whose second column is a type."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_bytes, read_text


@dataclass(frozen=True)
class PhraseList:
    """Different texts in NFC, in the order of the file, and their types (an empty one where none is given).
    digest: sha256 of the file."""

    texts: tuple[str, ...]
    types: tuple[str, ...]
    digest: str


def read_list(path: Path) -> PhraseList:
    """The list in a file: UTF-8, a phrase a line; after a tab a type may stand, after another tab anything.

    A first line that begins `text<TAB>type` is a heading. A text that is given several types, as a chunker
    does that tags every occurrence, has the most frequent one. Raises UserError.
    """
    raw = read_bytes(path, remedy="name a list of phrases")
    written = read_text(path)
    found: dict[str, Counter[str]] = {}
    for text, kind in _entries(written, path):
        found.setdefault(text, Counter())[kind] += 1
    if not found:
        raise UserError(f"{path} holds no phrases; write one a line")
    types = (max(kinds, key=lambda kind: kinds[kind]) for kinds in found.values())
    return PhraseList(tuple(found), tuple(types), hashlib.sha256(raw).hexdigest())


def _entries(written: str, path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(written.replace("\r\n", "\n").split("\n"), start=1):
        text, kind = (cell.strip() for cell in f"{line}\t\t".split("\t")[:2])
        if number == 1 and (text, kind) == ("text", "type"):
            continue
        if text:
            yield unicodedata.normalize("NFC", text), kind
        elif kind:
            raise UserError(f"{path}:{number} has a type and no text; write the phrase before the tab")
