"""One text a line, as new rows to be answered often come."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.row_files.text_file import TextFile


@dataclass(frozen=True)
class TxtFormat(Format):
    """Each line is a row with the column `text`, an empty one too."""

    is_bare_text: ClassVar[bool] = True

    def claim(self, path: Path, head: str) -> int:
        """Claims a file by its ending when it holds no tabs, objects or empty lines."""
        lines = [line for line in head.split("\n") if line]
        says_more = head.lstrip().startswith(("{", "[")) or 2 * sum("\t" in line for line in lines) > len(lines)
        return int(path.suffix == ".txt" and not says_more)

    def read(self, path: Path, findings: Findings) -> Table:
        rows = [(number, {"text": line}) for number, line in enumerate(TextFile.of(path).bare_lines(), 1)]
        return Table.of_lines(path, "one text a line", ("text",), rows)
