"""Comma- or semicolon-separated lines with quoting."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats._cells import table_of
from afterbert.downstream.row_files.text_file import TextFile

_DELIMITERS: tuple[Literal[",", ";", "|", "\t"], ...] = (",", ";", "|", "\t")
# A cell in quotes; the last one may not be closed where a file is cut.
_QUOTED = re.compile(r"""(?<=[\n,;|\t])(?:"(?:[^"]++|"")*+(?:"(?=[\n,;|\t])|\Z)|'(?:[^'\n]++|'')*+'(?=[\n,;|\t]))""")
_COMMA = re.compile(r"(?<=[;|\t])-?\d+,\d+(?=[;|\t\n])|(?<=\n)-?\d+,\d+(?=[;|\t])")


@dataclass(frozen=True)
class CsvFormat(Format):
    """A table of cells between delimiters. A setting left out is looked at. A file whose quotes do not pair up is
    read with quotes as plain characters where that gives every line the same number of columns.
    """

    delimiter: Literal[",", ";", "|", "\t"] | None = None
    header: bool | None = None
    """Whether the first line names the columns."""
    quote: Literal['"', "'"] | None = None
    """What stands around a cell that holds the delimiter; doubled inside."""

    def claim(self, path: Path, head: str) -> int:
        """Claims a file only by its ending: running text holds commas too."""
        return 2 if path.suffix == ".csv" else 0

    def settled(self, table: Table) -> CsvFormat:
        return replace(self, header=table.has_header)

    def read(self, path: Path, findings: Findings) -> Table:
        """Raises UserError where quotes do not pair up and cannot be plain characters either."""
        text = TextFile.of(path).text
        delimiter = self.delimiter or delimiter_in(text)
        quote = self.quote or quote_in(text, delimiter)
        try:
            rows = filled_rows(text, delimiter, quote)
        except BrokenRow as broken:
            rows = filled_rows(text, delimiter, quote, quoting=csv.QUOTE_NONE)
            if len({len(cells) for _, cells in rows}) > 1:
                raise UserError(
                    f"{path}:{broken.line}: a quote is not closed or stands inside a cell ({broken}); write it twice, "
                    "or save the file as tsv"
                ) from broken
            with_quotes = [line for line, cells in rows if any(quote in cell for cell in cells)]
            findings.add(
                "lines with quotes, read as plain characters", f"{path.name}:{with_quotes[0]}", len(with_quotes)
            )
        return table_of(path, "csv", rows, header=self.header, findings=findings)


class BrokenRow(Exception):
    """A row that cannot be read, for the reason given."""

    def __init__(self, line: int, reason: csv.Error):
        super().__init__(reason)
        self.line = line


def rows_of(
    lines: Iterable[str], delimiter: str, quote: str, *, quoting: Literal[0, 3] = csv.QUOTE_MINIMAL
) -> Iterator[tuple[int, list[str]]]:
    """Yields (first line of a row, cells) without empty lines. Raises BrokenRow."""
    reader, begins = csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True, quoting=quoting), 1
    try:
        for cells in reader:
            if cells and (begins > 1 or cells[0] != "sep="):  # which tells a spreadsheet what stands between cells
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise BrokenRow(begins, error) from error


def filled_rows(
    text: str, delimiter: str, quote: str, *, quoting: Literal[0, 3] = csv.QUOTE_MINIMAL
) -> list[tuple[int, list[str]]]:
    """Returns the rows of a text that hold anything. Raises BrokenRow."""
    # A cell may be a whole article; the module's own limit is 128 KiB for all of Python.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    rows = rows_of(io.StringIO(text, newline=""), delimiter, quote, quoting=quoting)
    return [(line, cells) for line, cells in rows if any(cell.strip() for cell in cells)]


def quote_in(text: str, delimiter: str) -> str:
    """Returns a single quote when the first lines have cells that begin and end with one, and more of them than with
    double quotes.

    >>> quote_in("Sport;'one; two'\\nArt;'it''s'", ";"), quote_in("it's,1\\n'tis,0", ",")
    ("'", '"')
    """
    head, mark = "\n" + "\n".join(text.split("\n")[:50]) + "\n", re.escape(delimiter)
    counts = {
        quote: len(re.findall(rf"(?<=[\n{mark}]){quote}(?:[^{quote}]|{quote}{quote})*{quote}(?=[\n{mark}])", head))
        for quote in ("'", '"')
    }
    return "'" if counts["'"] > max(counts['"'], 0) else '"'


def delimiter_in(text: str) -> Literal[",", ";", "|", "\t"]:
    """Returns the delimiter: the sign that each of the first lines holds equally often, or else most often, outside of
    quoted cells. It is no comma when most lines have a number with a decimal comma.

    >>> delimiter_in('"one, two";1\\n"a, b\\nc, d";0'), delimiter_in("so, so;0,5\\nbad, bad;1,5")
    (';', ';')
    """
    head = "\n" + "\n".join(text.split("\n")[:50]) + "\n"
    plain = _QUOTED.sub("", head)
    lines = [line for line in (plain.strip("\n") or head).split("\n") if line]
    counts = {mark: [line.count(mark) for line in lines] or [0] for mark in _DELIMITERS}
    if 2 * len(_COMMA.findall(plain)) > len(lines):
        del counts[","]
    steady = {mark: (0 < min(found) == max(found), min(found), sum(found)) for mark, found in counts.items()}
    return max(steady, key=lambda mark: steady[mark])
