"""Rows written as they were read, with new columns behind their own."""

import csv
import json
from collections.abc import Mapping
from typing import Any, TextIO

from afterbert.downstream.row_files.row_file import FileRow, Kind, RowFile


class RowWriter:
    """Writes rows of `source` to `out`. kind: None writes the layout that was read; a text a line becomes csv, which
    can hold more than a text, and one JSON value becomes JSON lines."""

    def __init__(self, source: RowFile, out: TextIO, kind: Kind | None = None):
        self.source, self.out = source, out
        usual: dict[Kind, Kind] = {"txt": "csv", "json": "jsonl"}
        self.kind: Kind = kind or usual.get(source.kind, source.kind)
        self.names: list[str] | None = None
        """The columns that are added, as they are named; None before the first row."""
        self._own: dict[str, str] = {}
        is_own = self.kind == source.kind
        self._newline = source.file.newline
        self._csv = csv.writer(
            out,
            delimiter=(source.delimiter if is_own else None) or ",",
            quotechar=source.quote if is_own else '"',
            lineterminator=self._newline,
        )

    def write(self, row: FileRow, new: Mapping[str, Any], like: Mapping[str, Any]) -> None:
        """Writes one row. new: name -> value to add, empty for a row without an answer. like: the names that any row
        has, for those of the columns."""
        if self.kind == "jsonl":
            own = row.record
            added = {_free(name, own): value for name, value in new.items()}
            self.names = self.names or list(added)
            self.out.write(json.dumps({**own, **added}, ensure_ascii=False) + self._newline)
        elif self.kind == "conll":
            self._write_words(row, new)
        else:
            self._write_cells(row, new, like)

    def _write_cells(self, row: FileRow, new: Mapping[str, Any], like: Mapping[str, Any]) -> None:
        if self.names is None:
            self._own = {name: _free(name, self.source.columns) for name in _flat(like)}
            self.names = list(self._own.values())
            if self.source.has_header or self.source.kind not in ("csv", "tsv"):
                self._write_line([*self.source.columns, *self.names])
        flat = {self._own[name]: cell for name, cell in _flat(new, has_commas=self.source.has_commas).items()}
        cells = list(row.raw or (_cell(row.record.get(column)) for column in self.source.columns))
        self._write_line([*cells, *(flat.get(name, "") for name in self.names)])

    def _write_line(self, cells: list[str]) -> None:
        if self.kind == "csv":
            self._csv.writerow(cells)
        else:
            # A table without quotes has no way to write its own delimiter.
            kept = (" ".join(cell.split()) if "\t" in cell or "\n" in cell else cell for cell in cells)
            self.out.write("\t".join(kept) + self._newline)

    def _write_words(self, row: FileRow, new: Mapping[str, Any]) -> None:
        """A tag behind each word; lines that hold no word as they are."""
        self.names = ["tag"]
        tags, separator = iter(new.get("prediction", ())), self.source.delimiter or " "
        for line in row.raw:
            is_word = self.source.is_word(line)
            tag = next(tags, "_") if is_word else ""
            self.out.write(line + (separator + tag if is_word else "") + self._newline)


def _flat(new: Mapping[str, Any], *, has_commas: bool = False) -> dict[str, str]:
    """Name -> cell: a column for each class of `probability`; tags with spaces between them; other lists as JSON.
    has_commas: before the fraction of a number.

    >>> _flat({"prediction": ("O", "B-LOC"), "probability": {"yes": 0.5}, "entities": [], "start": None})
    {'prediction': 'O B-LOC', 'probability_yes': '0.5', 'entities': '[]', 'start': ''}
    """
    values: dict[str, Any] = {}
    for name, value in new.items():
        values |= {f"{name}_{key}": one for key, one in value.items()} if isinstance(value, Mapping) else {name: value}
    return {
        name: _cell(value).replace(".", ",") if has_commas and isinstance(value, float) else _cell(value)
        for name, value in values.items()
    }


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _free(name: str, taken: Any) -> str:
    """The name, with a number behind it where a column of the file has it.

    >>> _free("prediction", ["text", "prediction"]), _free("prediction", ["text"])
    ('prediction_2', 'prediction')
    """
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
