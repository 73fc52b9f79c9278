"""The TREC question types of Li and Roth (2002): `COARSE:fine question`."""

import re
from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.row_files.text_file import TextFile

_LINE = re.compile(r"([A-Z]+):(\w+) (.+)")


@dataclass(frozen=True)
class Trec(Format):
    """Columns `text`, `coarse` (6 types) and `fine` (50, written `COARSE:fine`)."""

    def claim(self, path: Path, head: str) -> int:
        """Claims a file of which every line begins with a type."""
        lines = [line for line in head.split("\n")[:-1][:100] if line]
        return 3 if lines and all(_LINE.fullmatch(line) for line in lines) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        rows = []
        for number, line in enumerate(list(TextFile.of(path).bare_lines()), 1):
            found = _LINE.fullmatch(line)
            if found:
                rows.append((number, {"text": found[3], "coarse": found[1], "fine": f"{found[1]}:{found[2]}"}))
            elif line.strip():
                raise UserError(f"{path}:{number}: does not begin with COARSE:fine; is the file TREC's?")
        return Table.of_lines(path, "TREC", ("text", "coarse", "fine"), rows)
