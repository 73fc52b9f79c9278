"""A text file line by line, in whichever encoding and with whichever line ends spreadsheets and editors leave."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.small_files import check_regular

_HEAD_BYTES = 1 << 18
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class TextFile:
    """The facts about a file of text that its first bytes tell."""

    path: Path
    said: str
    """What it is called in messages."""
    encoding: str
    """The encoding as Python names it; `utf-8-sig` also without a byte order mark."""
    has_mark: bool
    """Whether it begins with a byte order mark."""
    newline: str
    """How its lines end."""
    beginning: str
    """Its first characters, line ends as `\\n`."""

    @staticmethod
    def of(path: Path, said: str | None = None) -> TextFile:
        """Looks at a file. said: what to call it. Raises UserError if it cannot be read, is empty or no text."""
        said = said or str(path)
        check_regular(path)
        try:
            with path.open("rb") as file:
                data = file.read(_HEAD_BYTES)
        except OSError as error:
            raise UserError(f"{said}: cannot be read ({error.strerror}); check the path") from error
        encoding = encoding_of(path, data)
        text = data.decode(encoding, errors="ignore")
        if not text.strip():
            raise UserError(f"{said}: is empty; name a file with rows")
        newline = "\r\n" if "\r\n" in text else "\r" if "\r" in text and "\n" not in text else "\n"
        has_mark = encoding == "utf-16" or data.startswith(_BOM)
        return TextFile(path, said, encoding, has_mark, newline, text.replace(newline, "\n"))

    @property
    def head(self) -> list[str]:
        """Its first lines, without their ends; whole ones, but for a file of a single long line."""
        lines = self.beginning.split("\n")
        return lines[:-1] or lines

    @property
    def text(self) -> str:
        """The whole of it, line ends as `\\n`. Raises UserError as `lines` does."""
        return "\n".join(self.bare_lines())

    def bare_lines(self) -> Iterator[str]:
        """Returns every line without its end. Raises UserError as `lines` does."""
        return (line.rstrip("\n").removesuffix("\r") for line in self.lines())

    def lines(self) -> Iterator[str]:
        """Yields every line with its end unchanged. Raises UserError, with the number of the line, for one that is not
        in the encoding."""
        number = begins = 0
        is_utf8 = self.encoding == "utf-8-sig"
        by_bytes = is_utf8 and self.newline != "\r"
        try:
            if by_bytes:
                with self.path.open("rb") as binary:
                    for number, raw in enumerate(binary, start=1):
                        yield (raw.removeprefix(_BOM) if number == 1 else raw).decode("utf-8")
                        begins += len(raw)
                return
            newline = "" if self.newline == "\r" else "\n"
            with self.path.open(encoding=self.encoding, newline=newline) as file:
                for line in file:
                    number += 1
                    yield line
        except UnicodeDecodeError as error:
            if by_bytes:
                place = f"{self.said}:{number}: is not UTF-8 at byte {begins + error.start}"
                raise UserError(f"{place}; save it as UTF-8") from error
            kind = "UTF-8" if is_utf8 else "UTF-16"
            raise UserError(f"{self.said}: is broken {kind} behind line {number}; save it as UTF-8") from error


def encoding_of(path: Path, head: bytes) -> str:
    """Returns the encoding of a file of text, judged by its first bytes, as Python names it: UTF-8, or UTF-16 as
    spreadsheets export it, with a byte order mark or without. Raises UserError if it is no text.

    >>> encoding_of(Path("a"), "text".encode()), encoding_of(Path("a"), "text".encode("utf-16-le"))
    ('utf-8-sig', 'utf-16-le')
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" not in head:
        return "utf-8-sig"
    # Of Latin letters, spaces and line ends one byte of two is zero, always the same one.
    first, second = head[0::2].count(0), head[1::2].count(0)
    if min(first, second) == 0 and 8 * max(first, second) >= len(head) // 2:
        return "utf-16-be" if first else "utf-16-le"
    raise UserError(f"{path}: holds zero bytes, so it is no text; save it as UTF-8 text")
