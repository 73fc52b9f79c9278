"""Scripture in USFM, two files or two folders of books: verses with the same book, chapter and number are a pair.

Source: USFM 3.0 (ubsicap.github.io/usfm): \\id, \\c and \\v; notes and cross references are left out, other markers are
taken off their text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from afterbert.base.errors import UserError
from afterbert.text.files.streams import shown
from afterbert.text.parallel import PairReader, RawPair, numbered_lines

_NOTE = re.compile(r"\\(f|fe|x|fig)\s.*?\\\1\*", re.DOTALL)
_WORD = re.compile(r"\|[^\\|]*(?=\\\+?\w+\*)")
_MARK = re.compile(r"\\\+?[a-z0-9-]+(\*|\s?)")  # the space behind an opening one is its own
_INNER = re.compile(r"(?=\\[cv] )")  # chapters and verses need not begin a line
_HEADING = re.compile(r"\\(s|ms|mr|r|d|sp|mt|toc|h|rem|ide|sts|cl|cp|cd|is|ip)\d*\b")


@dataclass(frozen=True)
class Usfm(PairReader):
    """Verses of two translations. Raises UserError if they share none."""

    extensions: ClassVar[tuple[str, ...]] = (".usfm", ".sfm")

    def __call__(self, paths: tuple[str, ...], languages: tuple[str, str]) -> Iterator[RawPair]:
        one, other = (_verses(Path(path)) for path in paths)
        if not one.keys() & other.keys():
            raise UserError(f"{shown(paths[0])} and {shown(paths[1])} share no verse; name two translations in USFM")
        for verse, (file, line, text) in one.items():
            if verse in other:
                yield RawPair(line, text, other[verse][2], file)


def _verses(path: Path) -> dict[tuple[str, str, str], tuple[str, int, str]]:
    """(book, chapter, verse) -> file, line and text."""
    files = sorted(one for one in path.rglob("*") if one.suffix.lower() in Usfm.extensions) if path.is_dir() else [path]
    found: dict[tuple[str, str, str], tuple[str, int, str]] = {}
    for file in files:
        book = chapter = verse = ""
        lines = numbered_lines(str(file))
        for line, text in ((line, one) for line, whole in lines for one in filter(None, _INNER.split(whole))):
            mark, _, rest = text.strip().partition(" ")
            if mark == "\\id":
                book, chapter, verse = rest.split(" ")[0], "", ""
            elif mark == "\\c":
                chapter, verse = rest.strip(), ""
            elif mark == "\\v":
                verse, _, rest = rest.partition(" ")
                found[book, chapter, verse] = (str(file), line, rest)
            elif verse and not _HEADING.match(mark):
                name, begun, before = found[book, chapter, verse]
                found[book, chapter, verse] = (name, begun, f"{before} {text}")
    return {
        verse: (name, line, _MARK.sub("", _WORD.sub("", _NOTE.sub("", text))))
        for verse, (name, line, text) in found.items()
    }
