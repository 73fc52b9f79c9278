"""Where documents come from: one module for each kind of source.

A source promises: documents stream in bounded memory; `parts` can be read in any process and in any order,
and their documents in the order of the parts are those of the whole, whatever their size; each document
found is counted once in the tally; what cannot be read is a UserError that says where.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, cast

from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.policy import Policy
from afterbert.text.tokenizers import TokenizerRecipe

_NO_CONTENT = ("path", "name", "revision", "max_unpacked_bytes", "tokenizer")


@dataclass(frozen=True)
class SourcePart:
    """A stretch of one source, small enough to be read again after a kill. Can be pickled.

    start, stop: bytes of a text file, row groups of a Parquet file, documents of a token file; stop is None if the
    source ends. num_bytes: about how much there is to read (on disk), for a progress bar. passed_over: files that the
    source left out, told with its first part.
    """

    source: Source
    start: int = 0
    stop: int | None = None
    num_bytes: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)

    def documents(self, policy: Policy, tally: Tally) -> Iterator[Document]:
        """Yields the documents of this part, in order. `tally` is complete at the end. Raises UserError."""
        for why, count in self.passed_over.items():
            tally.passed_over[why] += count
        yield from self.source.read(self, policy, tally)


class Source(ABC):
    """Documents from somewhere. Frozen dataclasses: a source is its own configuration."""

    extensions: ClassVar[tuple[str, ...]] = ()
    """Lower-case file name endings that mean this kind."""

    @property
    def settings(self) -> list[str]:
        """The options that decide which texts come out and are not the defaults, as `name=value`."""
        options = [option for option in fields(cast(Any, self)) if option.name not in _NO_CONTENT]
        values = {option.name: getattr(self, option.name) for option in options}
        return [f"{option.name}={values[option.name]}" for option in options if values[option.name] != option.default]

    @property
    def piece_recipe(self) -> TokenizerRecipe | None:
        """How to get the tokenizer whose pieces the documents are already; None for texts. Raises UserError."""
        return None

    @abstractmethod
    def parts(self, target_bytes: int) -> list[SourcePart]:
        """Returns the source in parts of about this many bytes on disk. It looks at the head of every file. Raises
        UserError."""

    @abstractmethod
    def digest(self) -> dict[str, str]:
        """Returns file name -> size, digest of the content, and options that are not the defaults. As long as these are
        the same, the same texts come out."""

    def read(self, part: SourcePart, policy: Policy, tally: Tally) -> Iterator[Document]:
        """Reads the documents of a part; called by `SourcePart.documents`. Not of a source whose parts are those of
        others."""
        raise AssertionError("the parts belong to the sources of the files")
