"""Tab-separated lines without quoting, as GLUE and most research data sets have them: a `"` is a character; but where
only quotes give all rows the same cells, they were written by a program that quotes tabs and line ends."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats._cells import table_of
from afterbert.downstream.formats.csv import BrokenRow, filled_rows
from afterbert.downstream.row_files.text_file import TextFile


@dataclass(frozen=True)
class TsvFormat(Format):
    """header: whether the first line names the columns; left out, it is looked at."""

    header: bool | None = None

    def claim(self, path: Path, head: str) -> int:
        """Claims a file by its ending, or when nearly every line has a tab."""
        lines = [line for line in head.split("\n")[:50] if line]
        with_tab = sum("\t" in line for line in lines)
        if with_tab < 0.9 * max(1, len(lines)):
            # New rows to be answered have one column.
            return int(path.suffix == ".tsv" and not with_tab)
        return 2 if path.suffix == ".tsv" else 1

    def settled(self, table: Table) -> TsvFormat:
        return replace(self, header=table.has_header)

    def read(self, path: Path, findings: Findings) -> Table:
        """Returns the cells as they stand between the tabs, without empty lines."""
        lines = list(TextFile.of(path).bare_lines())
        rows = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
        with_quotes = [number for number, line in enumerate(lines, 1) if '"' in line]
        if with_quotes and len({len(cells) for _, cells in rows}) > 1:
            with suppress(BrokenRow):
                quoted = filled_rows("\n".join(lines), "\t", '"')
                if len({len(cells) for _, cells in quoted}) == 1:
                    rows, with_quotes = quoted, []
        if with_quotes:
            first = f"{path.name}:{with_quotes[0]}"
            findings.add("lines with quotes, read as plain characters", first, len(with_quotes))
        return table_of(path, "tsv", rows, header=self.header, findings=findings)
