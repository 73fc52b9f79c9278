"""fastText's lines: `__label__` and a name, once for each label of the text, then the text.

Source: fastText's supervised tutorial; the mark can be another there (`-label`), it is not here.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.row_files.text_file import TextFile

_LABEL = re.compile(r"__label__(\S+)\s*,?\s*")
_LABELS = re.compile(rf"\s*(?:{_LABEL.pattern})+")


@dataclass(frozen=True)
class FasttextFormat(Format):
    """Rows have a text and a label, or a list of labels where some row has several."""

    def claim(self, path: Path, head: str) -> int:
        lines = [line for line in head.split("\n")[:-1] or [head] if line.strip()]
        return 3 if lines and all(line.lstrip().startswith("__label__") for line in lines) else 0

    def read(self, path: Path, findings: Findings) -> Table:
        rows: list[tuple[int, dict[str, Any]]] = []
        for number, line in enumerate(TextFile.of(path).bare_lines(), start=1):
            marks = _LABELS.match(line)
            if line.strip():
                end = marks.end() if marks else 0
                rows.append((number, {"text": line[end:].strip(), "label": _LABEL.findall(line[:end])}))
        if all(len(row["label"]) < 2 for _, row in rows):
            rows = [(number, row | {"label": next(iter(row["label"]), None)}) for number, row in rows]
        return Table.of_lines(path, "fastText's lines", ("text", "label"), rows)
