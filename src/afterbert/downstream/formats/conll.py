"""CoNLL: one word a line with its tags behind it, an empty line between sentences."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats._text import read_lines

_TAG = re.compile(r"O|[BIESLU]-\S+")


@dataclass(frozen=True)
class Conll(Format):
    """Columns are called `1`, `2`, ...; words stand in the first, the tag usually in the last. Separated by
    tabs where there are any, else by spaces. `-DOCSTART-` lines are left out.
    """

    def claim(self, path: Path, head: str) -> int:
        """Short lines of two or more columns in groups, or the ending."""
        if path.suffix in (".conll", ".bio", ".iob", ".iob2"):
            return 3
        lines = head.split("\n")[:-1][:400]
        filled = [line.split() for line in lines if line.strip()]
        if len(filled) == len(lines) or not filled:
            return 0
        tagged = sum(len(cells) > 1 and bool(_TAG.fullmatch(cells[-1])) for cells in filled)
        return 3 if tagged > 0.9 * len(filled) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        """One row a sentence; every column a tuple of its words' values."""
        lines = read_lines(path)
        separator = "\t" if sum("\t" in line.strip() for line in lines) > len(lines) / 4 else None
        width = _width(lines, separator)
        if width < 2:
            raise UserError(f"{path}: its lines hold one column, a word without a tag; check the format")
        sentences: list[tuple[int, list[list[str]]]] = []
        begins_new = True
        for number, line in enumerate(lines, 1):
            cells = _cells(line, separator)
            if not line.strip():
                begins_new = True
                if line:
                    findings.add("empty lines that hold spaces or tabs", f"{path.name}:{number}")
            elif cells[0] == "-DOCSTART-" or (line.startswith("#") and len(cells) != width):
                continue
            elif len(cells) != width:
                findings.add("lines with another number of columns left out", f"{path.name}:{number}")
            else:
                if begins_new:
                    sentences.append((number, []))
                begins_new = False
                sentences[-1][1].append(cells)
        names = tuple(str(i + 1) for i in range(width))
        return Table(
            path=path,
            layout="CoNLL",
            columns=names,
            records=tuple(dict(zip(names, zip(*words))) for _, words in sentences),
            keys=tuple(f"{path.name}:{number}" for number, _ in sentences),
            has_header=False,
        )


def _cells(line: str, separator: str | None) -> list[str]:
    """A word may be a space or hold one where tabs separate; the line's end is never a column."""
    return line.split(separator) if separator else line.split()


def _width(lines: list[str], separator: str | None) -> int:
    counts = Counter(len(_cells(line, separator)) for line in lines if line.strip())
    return counts.most_common(1)[0][0]
