"""Comma-separated values, quoted as in RFC 4180: "..." around a cell, "" for a quotation mark, line ends within."""

from dataclasses import dataclass
from typing import ClassVar

from afterbert.text.sources._table import TableFile


@dataclass(frozen=True, kw_only=True)
class Csv(TableFile):
    """A table, one document a row. Options: see `TableFile`."""

    extensions: ClassVar[tuple[str, ...]] = (".csv",)
