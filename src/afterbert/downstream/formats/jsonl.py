"""One JSON object a line; also a file that is one JSON value: a list of objects, what pandas writes, or an object that
holds such a list somewhere."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.downstream.example import Findings
from afterbert.downstream.formats import Format, Table
from afterbert.downstream.reading.cells import whole
from afterbert.downstream.row_files.text_file import TextFile

_LINES = (".jsonl", ".ndjson")
# Where a list of rows is looked for: this deep in objects, as answers of an interface nest it.
_DEPTH = 4


@dataclass(frozen=True)
class JsonlFormat(Format):
    """Rows are objects, their keys are the columns."""

    id: str | None = None
    """The key that names a row; None: rows are named by file and line."""
    records: str | None = None
    """Where the list of rows stands in a file that is one object, as `data.items`; None: looked for."""
    fields: tuple[str, ...] = ()
    """Columns that stand deeper in a row, as `review.body`."""

    def claim(self, path: Path, head: str) -> int:
        """Claims a first line that is a whole object, a list, or an object over several lines in a .json file."""
        first = head.lstrip().split("\n", 1)[0]
        if head.lstrip().startswith("["):
            return 2 if path.suffix in (".json", *_LINES) else 1
        if not first.startswith("{"):
            return 0
        if path.suffix in (".json", *_LINES):
            return 2
        return 1 if first.rstrip().endswith("}") else 0

    def read(self, path: Path, findings: Findings) -> Table:
        records, keys = [], []
        columns: dict[str, None] = {}
        layout, found = self._rows(path, TextFile.of(path).text)
        for place, record in found:
            deeper = {field: _within(record, field) for field in self.fields if field not in record}
            record |= {field: value for field, value in deeper.items() if value is not None}
            record |= {name: value["choices"] for name, value in record.items() if _are_choices(value)}
            if record.get("answer") in ("reject", "ignore") and "_task_hash" in record:  # Prodigy's: this is not so
                record |= dict.fromkeys(("label", "spans", "accept"))
                findings.add("rows that the annotator did not accept, read as rows without a label", place)
            records.append(record)
            keys.append(str(record[self.id]) if self.id and self.id in record else place)
            columns.update(dict.fromkeys(record))
        named = not records or not all(column.isdigit() for column in columns)
        return Table(path, layout, tuple(columns), tuple(records), tuple(keys), has_header=named)

    def _rows(self, path: Path, text: str) -> tuple[str, Iterator[tuple[str, dict[str, Any]]]]:
        """The layout in words, and each row with its place."""
        whole = _whole(path, text)
        if whole is None:
            if self.records:
                raise UserError(f"{path}: has one object a line, so --records has no effect; leave it out")
            return "jsonl", _lines(path, text)
        layout, rows = ("jsonl", whole) if isinstance(whole, list) else _rows_in(path, whole, self.records)
        places = ((f"{path.name}[{number}]", number, row) for number, row in enumerate(rows))
        return layout, ((key, _checked(row, f"{path}, item {number}", rows[0])) for key, number, row in places)


def _whole(path: Path, text: str) -> Any:
    """The one value that a file holds; None if it has one object a line."""
    text = text.strip()
    place = str(path) if "\n" in text else f"{path}:1"
    if text.startswith("[") and not (path.suffix in _LINES and "\n" in text and _is_json(text.split("\n", 1)[0])):
        return parsed(text, str(path))
    if path.suffix in _LINES:
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        # Of a file of lines, the line that is wrong is named.
        return None if text.split("\n", 1)[0].rstrip().endswith("}") else parsed(text, place)
    return None if text[end:].strip() else parsed(text, place)


def _rows_in(path: Path, tree: dict[str, Any], records: str | None) -> tuple[str, Sequence[Any]]:
    """The rows of a file that is one object, and how they stand there. Raises UserError if that is not told."""
    if records is not None:
        rows = _within(tree, records)
        if not isinstance(rows, list):
            known = ", ".join(_lists(tree)) or "none"
            raise UserError(f"{path}: --records {records}: no list of rows stands there; lists of objects: {known}")
        return f"json, rows in {records}", rows
    values = list(tree.values())
    if isinstance(tree.get("schema"), dict) and isinstance(tree.get("data"), list):
        return "json as pandas' tables", tree["data"]
    if isinstance(tree.get("columns"), list) and isinstance(tree.get("data"), list):
        return "json as pandas splits it", [dict(zip(tree["columns"], row)) for row in tree["data"]]
    if len(values) > 1 and all(isinstance(one, dict) and one.keys() == values[0].keys() for one in values):
        if len(values[0]) > len(values) or all(key.isdigit() for key in values[0]):
            return "json by columns", [{name: cells[row] for name, cells in tree.items()} for row in values[0]]
        return "json by index", values
    if len(values) > 1 and all(isinstance(one, list) and len(one) == len(values[0]) for one in values):
        return "json by columns", [dict(zip(tree, row)) for row in zip(*values)]
    lists = _lists(tree)
    if len(lists) > 1:
        named = ", ".join(f"{name} ({count:,})" for name, count in lists.items())
        raise UserError(f"{path}: rows may stand in {named}; say --records {next(iter(lists))}")
    (place,) = lists or ("",)
    return (f"json, rows in {place}", _within(tree, place)) if place else ("jsonl", [tree])


def _lists(tree: dict[str, Any], depth: int = _DEPTH) -> dict[str, int]:
    """Path -> length of each list of objects.

    >>> _lists({"page": 1, "data": {"items": [{"a": 1}], "pages": [1]}})
    {'data.items': 1}
    """
    found: dict[str, int] = {}
    for key, value in tree.items():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            found[key] = len(value)
        elif isinstance(value, dict) and depth > 1:
            found |= {f"{key}.{inner}": count for inner, count in _lists(value, depth - 1).items()}
    return found


def _within(value: Any, dotted: str) -> Any:
    """What stands at a path through objects, and lists by number; None if nothing does.

    >>> _within({"a": {"b": [3, 4]}}, "a.b.1"), _within({"a": 1}, "a.b")
    (4, None)
    """
    for key in dotted.split("."):
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def _lines(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    first: Any = None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{path}:{number}"
            row = parsed(line, place)
            first = row if first is None else first
            yield f"{path.name}:{number}", _checked(row, place, first)


def parsed(text: str, place: str) -> Any:
    """Returns the value of a JSON text. Raises UserError, also for a key that is written twice in one object."""
    try:
        # NaN, which pandas and Python write and JSON does not know, is nothing.
        return whole(json.loads(text, object_pairs_hook=partial(_unique, place), parse_constant=lambda name: None))
    except json.JSONDecodeError as error:
        place += f":{error.lineno}" if "\n" in text else ""  # else the place is that of the line
        raise UserError(f"{place}: is not JSON ({error.msg} at column {error.colno}); mend or remove it") from error
    except RecursionError as error:
        raise UserError(f"{place}: is nested too deeply; mend or remove it") from error
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{place}: holds a number of thousands of digits; mend or remove it") from error


def _unique(place: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UserError(f"{place}: a key is written twice; keep one")
    return found


def _are_choices(value: Any) -> bool:
    """Several choices, as Label Studio's short export writes them beside single ones, which are bare."""
    return isinstance(value, dict) and value.keys() == {"choices"} and isinstance(value["choices"], list)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _checked(record: Any, place: str, first: Any) -> dict[str, Any]:
    """A row as an object. Where the first row is a list, all are: their cells are columns without names, but for a text
    and an object about it, which is what spaCy was trained on."""
    if isinstance(record, list) and isinstance(first, list):
        if len(record) == 2 and isinstance(record[1], dict):
            return {"text": record[0]} | record[1]
        return {str(number): cell for number, cell in enumerate(record, start=1)}
    if not isinstance(record, dict):
        raise UserError(f"{place}: is {type(record).__name__}, must be an object {{...}}")
    return record
