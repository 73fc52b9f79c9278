"""A file of rows, read one by one: tables (csv, tsv, exports of spreadsheets), JSON lines, texts, or words a line."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.formats._cells import names_columns
from afterbert.downstream.formats.conll import are_words, by_role, remarks_in, stands_outside
from afterbert.downstream.formats.csv import BrokenRow, delimiter_in, quote_in, rows_of
from afterbert.downstream.reading.cells import whole
from afterbert.downstream.reading.guess import guess_format, with_settings
from afterbert.downstream.row_files.text_file import TextFile

Kind = Literal["csv", "tsv", "jsonl", "txt", "conll", "json"]

_ENDINGS: Mapping[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".conll": "conll",
    ".conllu": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
}
_LOOKED_AT = 2000
# A cell may be a whole article; a quote that is never closed must not swallow the file.
_LONGEST_CELL = 16 << 20


@dataclass(frozen=True)
class FileRow:
    """One row: a line of a table, an object, a text, or a sentence of words."""

    line: int
    """The line of the file on which it begins."""
    record: Mapping[str, Any]
    """Column -> value."""
    raw: Sequence[str] = ()
    """The cells of a table, or the lines of a sentence, as they stand in the file."""
    problem: str = ""
    """What is wrong with the row, where it cannot be used."""


@dataclass(frozen=True)
class RowFile:
    """A file of rows, with its layout."""

    file: TextFile
    kind: Kind
    columns: tuple[str, ...] = ()
    """Names, or `1`, `2`, ... where the file names none."""
    has_header: bool = False
    delimiter: str | None = None
    """Between cells; None in files of words that are separated by any number of spaces."""
    quote: str = '"'
    has_commas: bool = False
    """Whether its numbers have a comma before their fraction."""
    words: str | None = None
    """In files of words, the column that holds them."""
    remarks: frozenset[str] = frozenset()
    """In files of words, how lines end that are none though they have as many columns."""
    table: Table | None = None
    """All rows, of a file that is one JSON value (a list of objects, SQuAD's layout): it cannot be read row by row."""

    @staticmethod
    def of(
        file: TextFile,
        *,
        kind: Kind | None,
        known: Sequence[str],
        reads_words: bool,
        header: bool | None = None,
        records: str | None = None,
    ) -> RowFile:
        """Looks at the beginning of a file. kind: None is told by the name, else by what the file holds. known: names
        of columns by which a header is told. reads_words: whether sentences of words are what is looked for. header:
        whether a table's first line names its columns, None if that is to be told. records: where the rows stand in one
        JSON object. Raises UserError."""
        kind = kind or _kind_of(file, known, reads_words)
        made = RowFile(file, kind)
        if header is not None and kind not in ("csv", "tsv"):
            raise UserError(f"--header has no effect on {kind} files; leave it out")
        if records is not None and kind != "json":
            raise UserError(f"--records has no effect on {kind} files; leave it out")
        if kind == "jsonl":
            # Not all objects need have all keys; the first rows are looked at.
            seen: dict[str, None] = {}
            for _, row in zip(range(_LOOKED_AT), made.rows()):
                seen.update(dict.fromkeys(row.record))
            return replace(made, columns=tuple(seen))
        if kind == "json":
            table = with_settings(guess_format(file.path), {"records": records}).read(file.path, Findings())
            return replace(made, columns=table.columns, table=table)
        if kind == "txt":
            return replace(made, columns=("text",))
        if kind == "conll":
            return made._with_words()
        return made._with_cells(known, header)

    def rows(self) -> Iterator[FileRow]:
        """Returns every row in order. Raises UserError if the file cannot be read beyond some row."""
        if self.kind == "jsonl":
            return self._objects()
        if self.table is not None:
            return (FileRow(number, record) for number, record in enumerate(self.table.records, start=1))
        if self.kind == "conll":
            return self._sentences()
        if self.kind == "txt":
            lines = enumerate(self.file.bare_lines(), start=1)
            return (FileRow(number, {"text": line}, [line]) for number, line in lines)
        return self._cells()

    def _with_words(self) -> RowFile:
        """Words are separated by tabs, or else by spaces."""
        lines = [line for line in self.file.head if line.strip()]
        has_tabs = sum("\t" in line for line in lines) > len(lines) / 2
        made = replace(self, delimiter="\t" if has_tabs else None)
        widths = [len(made._split(line)) for line in lines if line[0] != "#" and not line.startswith("-DOCSTART-")]
        width = max(set(widths), key=widths.count, default=1)
        made = replace(made, columns=tuple(map(str, range(1, width + 1))))
        made = replace(made, remarks=frozenset(remarks_in(list(self.file.head), made.delimiter)))
        rows = [cells for line in lines if made.is_word(line) and len(cells := made._split(line)) == width]
        if width == 10 and all(cells[0][:1].isdigit() for cells in rows):
            names = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
            return replace(made, columns=names, words="form")
        (words, *_), _ = by_role({name: [cells[n] for cells in rows] for n, name in enumerate(made.columns)})
        return replace(made, words=words)

    def _with_cells(self, known: Sequence[str], header: bool | None) -> RowFile:
        text = "\n".join(self.file.head)
        delimiter = "\t" if self.kind == "tsv" else _delimiter(self.file)
        quote = '"' if self.kind == "tsv" else quote_in(text, delimiter)
        # UTF-16 with tabs is what spreadsheets call Unicode text, and they quote in it.
        kind: Kind = "csv" if self.file.encoding.startswith("utf-16") else self.kind
        made = replace(self, kind=kind, delimiter=delimiter, quote=quote)
        sample = [row.raw for _, row in zip(range(_LOOKED_AT), made._cells(of_width=False))]
        if not sample:
            raise UserError(f"{self.file.said}: holds no row; name a file with rows")
        made = replace(made, has_commas=_has_commas([cell.strip() for cells in sample for cell in cells]))
        first = [cell.strip() for cell in sample[0]]
        lowered = {cell.lower() for cell in first}
        is_named = bool(lowered & {name.lower() for name in known}) and len(lowered) == len(first)
        fitting = [list(cells) for cells in sample if len(cells) == len(first)]
        # One word over running text is a heading, whatever it is called.
        others = [cells[0] for cells in sample[1:] if len(cells) == len(first) == 1]
        is_heading = " " not in first[0] and 2 * sum(" " in text.strip() for text in others) > len(others)
        if header or (header is None and (is_named or is_heading or names_columns(fitting))):
            return replace(made, columns=tuple(first), has_header=True)
        return replace(made, columns=tuple(str(number + 1) for number in range(len(first))))

    def _cells(self, *, of_width: bool = True) -> Iterator[FileRow]:
        """The rows of a table. of_width: those of another width than the header's have a problem; the header is left
        out."""
        bare = ((n, line.split(self.delimiter)) for n, line in enumerate(self.file.bare_lines(), 1) if line.strip())
        is_first = True
        for line, cells in self._quoted() if self.kind == "csv" else bare:
            is_header, is_first = is_first and self.has_header, False
            if is_header and of_width:
                continue
            problem = ""
            if of_width and len(cells) != len(self.columns):
                told = "the header" if self.has_header else "the first row"
                problem = f"has {_count(len(cells))}, {told} has {_count(len(self.columns))}"
            elif of_width and self.has_header and [cell.strip() for cell in cells] == list(self.columns):
                problem = "is the header again"
            yield FileRow(line, dict(zip(self.columns, cells)), cells, problem)

    def _quoted(self) -> Iterator[tuple[int, list[str]]]:
        assert self.delimiter is not None
        csv.field_size_limit(_LONGEST_CELL)
        try:
            yield from rows_of(self.file.lines(), self.delimiter, self.quote)
        except BrokenRow as broken:
            raise UserError(
                f"{self.file.said}:{broken.line}: the row that begins here cannot be read ({broken}): a quote is not "
                "closed or stands inside a cell; write it twice"
            ) from broken

    def _objects(self) -> Iterator[FileRow]:
        for number, line in enumerate(self.file.bare_lines(), start=1):
            if not line.strip():
                continue
            found: Any = None
            try:
                found, problem = whole(json.loads(line)), ""
            except json.JSONDecodeError as error:
                problem = f"is not JSON ({error.msg} at column {error.colno})"
            except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
                problem = "is JSON that cannot be read (nested too deeply, or a number too long)"
            if not problem and not isinstance(found, dict):
                problem = "is no JSON object {...}"
            yield FileRow(number, {} if problem else found, problem=problem)

    def _sentences(self) -> Iterator[FileRow]:
        """Sentences with the lines around them that hold no word (empty ones, comments)."""
        begins, problem = 0, ""
        words: list[list[str]] = []
        raw: list[str] = []
        for number, line in enumerate(self.file.bare_lines(), start=1):
            if not line.strip():
                if words or problem:
                    yield self._sentence(begins, words, [*raw, line], problem)
                    begins, words, raw, problem = 0, [], [], ""
                else:
                    raw.append(line)
                continue
            raw.append(line)
            cells = self._split(line)
            if stands_outside(line, cells, len(self.columns), self.remarks):
                continue
            begins = begins or number
            words.append(cells)
            if len(cells) != len(self.columns) and not problem:
                wanted = _count(len(self.columns))
                problem = f"has {_count(len(cells))} at line {number}, the lines before have {wanted}"
        if words or problem:
            yield self._sentence(begins, words, raw, problem)

    def _sentence(self, begins: int, words: list[list[str]], raw: list[str], problem: str) -> FileRow:
        if problem:
            return FileRow(begins, {}, raw, problem)
        is_word = [cells[0].isdigit() or self.columns[0] != "id" for cells in words]
        columns = zip(self.columns, zip(*(cells for cells, counts in zip(words, is_word) if counts)))
        return FileRow(begins, dict(columns), raw)

    def is_word(self, line: str) -> bool:
        """Returns whether a line of a file of words holds one."""
        cells = self._split(line)
        if not line.strip() or stands_outside(line, cells, len(self.columns), self.remarks):
            return False
        return self.columns[0] != "id" or cells[0].isdigit()

    def _split(self, line: str) -> list[str]:
        return line.split(self.delimiter) if self.delimiter else line.split()


def path_kind(path: Path) -> Kind | None:
    """Returns the layout that a file's name tells; None if it tells none (`.txt` may hold anything)."""
    return _ENDINGS.get(path.suffix.lower())


def _kind_of(file: TextFile, known: Sequence[str], reads_words: bool) -> Kind:
    """By the name; else JSON lines by their braces, words by the empty lines between sentences, a table by a header of
    known names or by tabs in every line; else each line is a text."""
    named = path_kind(file.path)
    if named is not None:
        return named
    first = file.head[0].lstrip()
    if first.startswith(("{", "[")):
        return "jsonl" if first.startswith("{") and first.rstrip().endswith("}") and len(file.head) > 1 else "json"
    filled = [line for line in file.head if line.strip()]
    if reads_words and _holds_words(file, filled):
        return "conll"
    cells = first.split(_delimiter(file))
    if len(cells) > 1 and {cell.strip(' "').lower() for cell in cells} & {name.lower() for name in known}:
        return "tsv" if "\t" in first and not file.encoding.startswith("utf-16") else "csv"
    counts = {line.count("\t") for line in filled}
    return "tsv" if len(counts) == 1 and counts != {0} else "txt"


def _holds_words(file: TextFile, filled: Sequence[str]) -> bool:
    """Whether lines hold a word each: nearly all have as many cells, unlike sentences with their different numbers of
    words, and there is one cell, or empty lines stand between."""
    rows = [line.split("\t") if "\t" in line else line.split() for line in filled if line[0] != "#"]
    ((width, count),) = Counter(map(len, rows)).most_common(1) or [(0, 0)]
    if count < 0.9 * len(rows) or len(rows) < 2:
        return False
    return are_words([cells[0] for cells in rows]) if width == 1 else "" in file.head[:-1]


def _delimiter(file: TextFile) -> str:
    """What stands between cells; of one column nothing does, whatever its texts hold."""
    return delimiter_in(file.beginning) if any(mark in file.head[0] for mark in ",;\t|") else ","


def _has_commas(cells: Sequence[str]) -> bool:
    """Whether more cells hold a number with a comma before its fraction than one with a point; `1,234` may be either.

    >>> _has_commas(["a", "0,5", "2"]), _has_commas(["a", "1,234"]), _has_commas(["0.5", "0,5"])
    (True, False, False)
    """
    commas = sum(re.fullmatch(r"-?(\d+,(?!\d{3}$)|0,)\d+", cell) is not None for cell in cells)
    return commas > sum(re.fullmatch(r"-?\d+\.\d+", cell) is not None for cell in cells)


def _count(number: int) -> str:
    return f"{number} column{'' if number == 1 else 's'}"
