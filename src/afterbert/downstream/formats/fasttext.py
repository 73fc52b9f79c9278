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
        rows: list[tuple[str, list[str], str]] = []
        for number, line in enumerate(list(TextFile.of(path).bare_lines()), start=1):
            marks = _LABELS.match(line)
            if line.strip():
                end = marks.end() if marks else 0
                rows.append((f"{path.name}:{number}", _LABEL.findall(line[:end]), line[end:].strip()))
        is_single = all(len(labels) < 2 for _, labels, _ in rows)

        def label(labels: list[str]) -> Any:
            return (labels[0] if labels else None) if is_single else labels

        return Table(
            path=path,
            layout="fastText's lines",
            columns=("text", "label"),
            records=tuple({"text": text, "label": label(labels)} for _, labels, text in rows),
            keys=tuple(key for key, _, _ in rows),
        )
