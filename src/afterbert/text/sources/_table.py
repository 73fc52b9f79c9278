"""What CSV and TSV share: rows, columns by name or number, a header or none."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.intake import Intake
from afterbert.text.files.policy import Policy
from afterbert.text.sources import SourcePart
from afterbert.text.sources._file import FileSource


class Row(NamedTuple):
    """One record: the offset where it starts, its cells, its bytes, and whether these are UTF-8."""

    offset: int
    cells: list[str]
    raw: bytes
    is_utf8: bool


_SIGNS = ",;\t|"
_LOOKED_AT = 50  # rows
_NO_ROW = Row(0, [], b"", True)


class Layout(NamedTuple):
    """The place of the text: number of its column from 0, the offset of the header row, if there is one, and how many
    cells the first row has."""

    column: int
    header_offset: int | None
    width: int


@dataclass(frozen=True, kw_only=True)
class TableFile(FileSource):
    """Rows of cells."""

    text_column: str | int | None = None
    """The text's column, by its name in the first line, or by number from 1. Not given: the column called `text`, or
    the only one."""
    header: bool | None = None
    """Whether the first line names the columns; not given: it does if the column was found there by name."""
    delimiter: str | None = None
    """What stands between cells. Not given, it is the first of `_SIGNS` by which a cell of the first row is called as
    the text's column, else by which all rows have as many cells."""
    is_quoted: bool = True

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise UserError(f"delimiter is {self.delimiter!r}, must be one character such as ',' or ';'")
        if isinstance(self.text_column, int) and self.text_column < 1:
            raise UserError(f"text_column is {self.text_column}, columns are counted from 1")

    @cached_property
    def sign(self) -> str:
        """What stands between cells."""
        if self.delimiter is not None:
            return self.delimiter
        wanted = "text" if self.text_column is None else str(self.text_column)
        named, steady, several = [], [], []
        for sign in _SIGNS:
            rows = replace(self, delimiter=sign)._rows(streams.chunks(self.path), self._lenient_intake())
            if len((first := next(rows, _NO_ROW)).cells) < 2:
                continue
            named += [sign] if wanted in map(str.strip, first.cells) else []
            steady += [sign] if all(len(row.cells) == len(first.cells) for row in islice(rows, _LOOKED_AT)) else []
            several.append(sign)
        return next(iter(named or steady or several), ",")

    @property
    def settings(self) -> list[str]:
        found = super().settings
        return found if self.delimiter is not None or self.sign == "," else [*found, f"delimiter={self.sign}"]

    def _inner_starts(self, size: int, target_bytes: int) -> list[int]:
        """Within quotes a line end is no row end, so quoted tables are read once to find where rows start."""
        if not self.is_quoted or not any(b'"' in chunk for _, chunk in streams.chunks(self.path)):
            return super()._inner_starts(size, target_bytes)
        starts, at = [], target_bytes
        for row in self._rows(streams.chunks(self.path), self._lenient_intake()):
            if row.offset >= at:
                starts.append(row.offset)
                at = row.offset + target_bytes
        return starts

    def _documents(self, part: SourcePart, intake: Intake, chunks: Iterator[tuple[int, bytes]]) -> Iterator[Document]:
        layout = self._layout()
        for row in self._rows(chunks, intake):
            if row.offset == layout.header_offset:
                continue
            if not row.is_utf8 and intake.decoded(row.raw, row.offset) is None:
                continue
            if any(map(str.strip, row.cells[layout.width :])):
                found = f"the row has {len(row.cells)} cells, the first row {layout.width}"
                plain = ", or say --kind txt --documents line" if layout.width == 1 else ""
                intake.broken(row.offset, found, f"put cells with '{_named(self.sign)}' in them into quotes{plain}")
                continue
            if len(row.cells) <= layout.column:
                found = f"the row has {len(row.cells)} column(s), the text is in column {layout.column + 1}"
                intake.broken(row.offset, found, f"is '{_named(self.sign)}' the delimiter?")
                continue
            yield from intake.documents(row.cells[layout.column], row.offset)

    def _rows(self, chunks: Iterator[tuple[int, bytes]], intake: Intake) -> Iterator[Row]:
        """The rows that are not blank."""
        rows = self._quoted_rows(chunks, intake) if self.is_quoted else self._plain_rows(chunks)
        return (row for row in rows if row.raw and not row.raw.isspace())

    def _plain_rows(self, chunks: Iterator[tuple[int, bytes]]) -> Iterator[Row]:
        for offset, raw in streams.lines(chunks, self.path):
            text, is_utf8 = _decoded(raw)
            yield Row(offset, text.removesuffix("\r").split(self.sign), raw, is_utf8)

    def _quoted_rows(self, chunks: Iterator[tuple[int, bytes]], intake: Intake) -> Iterator[Row]:
        # For the whole process, but never lowered.
        csv.field_size_limit(max(csv.field_size_limit(), streams.MAX_LINE_BYTES))
        feed = _Feed(streams.lines(chunks, self.path, keep_empty=True))
        reader = csv.reader(feed, delimiter=self.sign, strict=True)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                intake.broken(feed.begin, f"not a row of quoted cells: {error}", 'is a " left open, or not doubled?')
                feed.take([])
            else:
                yield feed.take(cells)

    def _layout(self) -> Layout:
        """Decides by the first row. Raises UserError if it does not say where the text is."""
        intake = self._lenient_intake()
        first = next(self._rows(streams.chunks(self.path), intake), None)
        if first is None:
            return Layout(0, None, 0)
        width = len(first.cells)
        names = [cell.strip() for cell in first.cells]
        header_offset = first.offset if self.header else None
        if isinstance(self.text_column, int):
            return Layout(self.text_column - 1, header_offset, width)
        wanted = "text" if self.text_column is None else self.text_column
        if self.header is not False and wanted in names:
            return Layout(names.index(wanted), first.offset, width)
        if wanted.isdecimal() and int(wanted) > 0:
            return Layout(int(wanted) - 1, header_offset, width)
        if self.text_column is None and len(names) == 1:
            return Layout(0, header_offset, width)
        place = streams.located(intake.place(first.offset))
        remedy = streams.near_name(wanted, names)
        raise UserError(f"{place}: no column is called '{wanted}', {remedy}; or give its number, counted from 1")

    def _lenient_intake(self) -> Intake:
        """For looking around without counting or stopping."""
        return Intake(Policy(errors="skip-document"), Tally(), path=self.path, name=self.title)


class _Feed:
    """Hands lines to `csv.reader`, and remembers the bytes of the row that it is reading."""

    def __init__(self, found: Iterator[tuple[int, bytes]]):
        self._lines = found
        self._raw: list[bytes] = []
        self._is_utf8 = True
        self.begin = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        offset, raw = next(self._lines)
        if not self._raw:
            # Between rows, empty lines mean nothing; within quotes they do.
            while not raw:
                offset, raw = next(self._lines)
            self.begin = offset
        self._raw.append(raw)
        text, is_utf8 = _decoded(raw)
        self._is_utf8 &= is_utf8
        return text + "\n"

    def take(self, cells: list[str]) -> Row:
        """The row just read."""
        row = Row(self.begin, cells, b"\n".join(self._raw), self._is_utf8)
        self._raw, self._is_utf8 = [], True
        return row


def _decoded(raw: bytes) -> tuple[str, bool]:
    try:
        return raw.decode(), True
    except UnicodeDecodeError:
        return raw.decode(errors="replace"), False


def _named(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else delimiter
