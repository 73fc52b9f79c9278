"""Parallel text as people hold it: one module for each layout. A pair is a text and its translation."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.text.files import streams


class RawPair(NamedTuple):
    """A pair as it stands in a file. line: from 1, of the first of both. path: of the file, where it is none of those
    named, but one below a folder."""

    line: int
    one: str
    other: str
    path: str | None = None


class PairReader(ABC):
    """Reads the pairs of one file, or of two that belong together. Frozen dataclasses without settings."""

    extensions: ClassVar[tuple[str, ...]] = ()
    """Lower-case file name endings that mean this layout."""

    @abstractmethod
    def __call__(self, paths: tuple[str, ...], languages: tuple[str, str]) -> Iterator[RawPair]:
        """The pairs in their order. Raises UserError that says file and line."""


def reader_of(paths: tuple[str, ...]) -> PairReader:
    """Returns the reader for these files, chosen by their names. Raises UserError."""
    extension = streams.extension_of(paths[0])
    known = {ending: name for name in plugins.names(PairReader) for ending in plugins.find(PairReader, name).extensions}
    name = known.get(extension, "moses" if len(paths) == 2 else "table")
    if any(Path(path).is_dir() for path in paths):
        name = "usfm"
    if (len(paths) == 2) != (name in ("moses", "usfm")):
        wants = "one file" if len(paths) == 2 else "two, such as a.en,a.is"
        raise UserError(f"{','.join(paths)}: this layout ({extension or 'folder'}) wants {wants}")
    return plugins.find(PairReader, name)()


def numbered_lines(path: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a file, packed or not, from 1, without their ends. Raises UserError for what is not UTF-8."""
    for number, (_, raw) in enumerate(streams.lines(streams.chunks(path), path, keep_empty=True), start=1):
        try:
            yield number, raw.decode().removesuffix("\r").removeprefix("\ufeff")
        except UnicodeDecodeError:
            raise UserError(f"{streams.shown(path)}:{number}: the line is not UTF-8; convert the file") from None
