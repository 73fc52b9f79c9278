"""One JSON object a line; also a file that is one JSON list of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.formats._text import read_text


@dataclass(frozen=True)
class JsonlFormat(Format):
    """id: the key that names a row; left out, rows are named by file and line."""

    id: str | None = None

    def claim(self, path: Path, head: str) -> int:
        """A first line that is a whole object, or a list of objects."""
        first = head.lstrip().split("\n", 1)[0]
        if head.lstrip().startswith("["):
            return 2 if path.suffix in (".json", ".jsonl") else 1
        if not first.startswith("{"):
            return 0
        if path.suffix in (".jsonl", ".ndjson"):
            return 2
        return 1 if first.rstrip().endswith("}") else 0

    def read(self, path: Path, findings: Findings) -> Table:
        """Values as JSON gives them. Raises UserError at a line that is no object."""
        records, keys = [], []
        columns: dict[str, None] = {}
        for place, record in _objects(path, read_text(path)):
            records.append(record)
            keys.append(str(record[self.id]) if self.id and self.id in record else place)
            columns.update(dict.fromkeys(record))
        return Table(path, "jsonl", tuple(columns), tuple(records), tuple(keys))


def _objects(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if text.lstrip().startswith("["):
        for number, record in enumerate(_parsed(text, str(path))):
            yield f"{path.name}[{number}]", _checked(record, f"{path}, item {number}")
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{path}:{number}"
            yield f"{path.name}:{number}", _checked(_parsed(line, place), place)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, place))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{place}: is not JSON ({error.msg} at column {error.colno}); mend or remove it"
        ) from error
    except RecursionError as error:
        raise UserError(f"{place}: is nested too deeply; mend or remove it") from error


def _unique(pairs: list[tuple[str, Any]], place: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UserError(f"{place}: a key is written twice; keep one")
    return found


def _checked(record: Any, place: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise UserError(f"{place}: is {type(record).__name__}, must be an object {{...}}")
    return record
