"""Columns between tabs: text and translation, or number, text, number, translation as Tatoeba gives them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from afterbert.base.errors import UserError
from afterbert.text.files.streams import shown
from afterbert.text.parallel import PairReader, RawPair, numbered_lines


@dataclass(frozen=True)
class PairTable(PairReader):
    """Without quoting and header; columns behind the translation (Tatoeba's attribution) are passed over."""

    extensions: ClassVar[tuple[str, ...]] = (".tsv", ".tab")

    def __call__(self, paths: tuple[str, ...], languages: tuple[str, str]) -> Iterator[RawPair]:
        for line, text in numbered_lines(paths[0]):
            cells = text.split("\t")
            if len(cells) >= 4 and cells[0].isdecimal() and cells[2].isdecimal():
                cells = cells[1::2]
            if len(cells) < 2:
                raise UserError(
                    f"{shown(paths[0])}:{line}: the line has one column, a pair needs two with a tab between; mend it, "
                    "or name two files with a text in each line"
                )
            yield RawPair(line, cells[0], cells[1])
