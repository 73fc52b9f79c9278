"""Comma- or semicolon-separated lines with quoting."""

from __future__ import annotations

import csv
import io
import re
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
        rows, broken = rows_of(text, delimiter, quote, quoting=csv.QUOTE_MINIMAL)
        if broken:
            rows, _ = rows_of(text, delimiter, quote, quoting=csv.QUOTE_NONE)
            if len({len(cells) for _, cells in rows}) > 1:
                raise UserError(
                    f"{path}:{broken[0]}: a quote is not closed or stands inside a cell ({broken[1]}); write it twice, "
                    "or save the file as tsv"
                )
            with_quotes = [line for line, cells in rows if any(quote in cell for cell in cells)]
            findings.add(
                "lines with quotes, read as plain characters", f"{path.name}:{with_quotes[0]}", len(with_quotes)
            )
        return table_of(path, "csv", rows, header=self.header, findings=findings)


def rows_of(
    text: str, delimiter: str, quote: str, *, quoting: Literal[0, 3]
) -> tuple[list[tuple[int, list[str]]], tuple[int, csv.Error] | None]:
    """Returns (first line of a row, cells) without empty lines, and line and reason of the first unreadable row."""
    # A cell may be a whole article; the module's own limit is 128 KiB for all of Python.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote, strict=True, quoting=quoting)
    rows, begins = [], 1
    try:
        for cells in reader:
            # `sep=;` in the first line tells a spreadsheet what stands between cells
            if any(cell.strip() for cell in cells) and (begins > 1 or cells[0] != "sep="):
                rows.append((begins, cells))
            begins = reader.line_num + 1
    except csv.Error as error:
        return rows, (begins, error)
    return rows, None


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
