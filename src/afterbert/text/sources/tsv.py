"""Tab-separated values without quoting: a quotation mark is a character, a line is a row."""

from dataclasses import dataclass
from typing import ClassVar

from afterbert.text.sources._table import TableFile


@dataclass(frozen=True, kw_only=True)
class Tsv(TableFile):
    """A table, one document a row. Options: see `TableFile`; `is_quoted: true` for files written with CSV's quotes."""

    extensions: ClassVar[tuple[str, ...]] = (".tsv", ".tab")
    delimiter: str | None = "\t"
    is_quoted: bool = False
