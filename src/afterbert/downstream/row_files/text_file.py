"""A text file line by line, in whichever encoding and with whichever line ends spreadsheets and editors leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.small_files import check_regular
from afterbert.downstream.formats._text import encoding_of

_HEAD_BYTES = 1 << 18
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class TextFile:
    """What its first bytes tell of a file of text."""

    path: Path
    said: str
    """What it is called in messages."""
    encoding: str
    """As Python names it; `utf-8-sig` also where there is no byte order mark."""
    has_mark: bool
    """Whether it begins with a byte order mark."""
    newline: str
    """How its lines end."""
    head: tuple[str, ...]
    """Its first lines, without their ends; whole ones, but for a file of a single long line."""

    @staticmethod
    def of(path: Path, said: str | None = None) -> TextFile:
        """Looks at a file. said: what to call it. Raises UserError where it cannot be read, is empty or no text."""
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
        lines = text.split(newline)
        whole = lines[:-1] if len(lines) > 1 else lines
        has_mark = encoding == "utf-16" or data.startswith(_BOM)
        return TextFile(path, said, encoding, has_mark, newline, tuple(whole))

    def bare_lines(self) -> Iterator[str]:
        """Every line without its end. Raises UserError as `lines` does."""
        return (line.rstrip("\n").removesuffix("\r") for line in self.lines())

    def lines(self) -> Iterator[str]:
        """Every line with its end as it stands. Raises UserError, with the number of the line, where a line is not
        in the encoding."""
        number = 0
        try:
            if self.encoding == "utf-8-sig" and self.newline != "\r":
                with self.path.open("rb") as binary:
                    for number, raw in enumerate(binary, start=1):
                        raw = raw.removeprefix(_BOM) if number == 1 else raw
                        yield raw.decode("utf-8")
                return
            newline = "" if self.newline == "\r" else "\n"
            with self.path.open(encoding=self.encoding, newline=newline) as file:
                for line in file:
                    number += 1
                    yield line
        except UnicodeDecodeError as error:
            if self.encoding == "utf-8-sig":
                raise UserError(f"{self.said}:{number}: is not UTF-8; save the file as UTF-8") from error
            raise UserError(f"{self.said}: is broken UTF-16 behind line {number}; save it as UTF-8") from error
