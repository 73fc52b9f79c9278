"""File formats of labelled data: each turns one file into a table, before any task has been asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from afterbert.downstream.example import Findings


@dataclass(frozen=True)
class Table:
    """A file's rows. columns: those that hold anything, in file order; of a file without header they are
    called `1`, `2`, ...

    records: one mapping for each row (columns may be missing in some); keys: the row's own id, or
    `file:line`; layout: the format in words.
    """

    path: Path
    layout: str
    columns: tuple[str, ...]
    records: tuple[Mapping[str, Any], ...]
    keys: tuple[str, ...]
    has_header: bool = True

    @staticmethod
    def of_lines(
        path: Path,
        layout: str,
        columns: Sequence[str],
        rows: Sequence[tuple[int, Mapping[str, Any]]],
        *,
        has_header: bool = True,
    ) -> Table:
        """Returns a table from rows with the numbers of their lines, by which they are named."""
        records, keys = tuple(record for _, record in rows), tuple(f"{path.name}:{line}" for line, _ in rows)
        return Table(path, layout, tuple(columns), records, keys, has_header)

    def column(self, name: str) -> list[Any]:
        """Returns all values of a column, None if a row has none."""
        return [record.get(name) for record in self.records]

    def only(self, rows: Sequence[int]) -> Table:
        """Returns the table with only the rows of these numbers."""
        records, keys = tuple(self.records[n] for n in rows), tuple(self.keys[n] for n in rows)
        return replace(self, records=records, keys=keys)


class Format(ABC):
    """A frozen config. Damage to the file's structure raises UserError with file and line; oddities of
    single rows are counted."""

    is_bare_text: ClassVar[bool] = False
    """Whether its rows are texts and nothing else, so that a label must stand elsewhere."""

    @abstractmethod
    def claim(self, path: Path, head: str) -> int:
        """Returns how sure it is that a file, whose first characters are `head`, is of this format: 0 no; 1 its ending
        at most; 2 it reads like it; 3 nothing else reads like this; 4 nothing but its own parent format."""

    def settled(self, table: Table) -> Format:
        """Gives the same format with what was looked at in one file fixed, so that a folder's files are all read
        alike."""
        return self

    @abstractmethod
    def read(self, path: Path, findings: Findings) -> Table:
        """Returns the whole file as a table. Raises UserError."""
