"""A corpus: the parts of all sources, and the two passes over them."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from afterbert import __version__
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.planes import Plane
from afterbert.text.sources import Source, SourcePart
from afterbert.text.token_store.finishing import settings_of
from afterbert.text.token_store.part_files import column
from afterbert.text.token_store.parts import EncodePart, PartTask
from afterbert.text.token_store.sections import FATES
from afterbert.text.token_store.survey import Survey, survey
from afterbert.text.token_store.workers import in_order
from afterbert.text.tokenizers import TokenizerRecipe

# (done, total, phase): bytes of text, or shares of the work
Progress = Callable[[float, float, str], None]


def silent(done: float, total: float, phase: str) -> None:
    """Progress that nobody watches."""


class _Warned(Protocol):
    @property
    def warnings(self) -> list[str]: ...


Task = TypeVar("Task")
Report = TypeVar("Report", bound=_Warned)

_SURVEY_BYTES = 100_000_000  # read by one process in the time that another needs to start
_MOST_LANGUAGES = 256  # a byte a document
_PART_BYTES, _LARGE_PART_BYTES, _LARGE_BYTES = 4_000_000, 64_000_000, 8e9


@dataclass(frozen=True)
class EncodedParts:
    """Parts that lie encoded in a folder. pieces: by split."""

    folder: Path
    count: int
    dtype: str
    pieces: Mapping[str, int]
    without_pieces: int

    def column(self, split: str, name: str) -> Iterator[np.ndarray]:
        """The values of a column through all parts, in blocks of bounded size."""
        return column(self.folder, range(self.count), split, name, self.dtype)


@dataclass(frozen=True)
class Corpus:
    """All the texts, how they are to be read, and who watches."""

    sources: tuple[Source, ...]
    policy: Policy
    held_out: float
    processes: int
    progress: Progress
    smoothing: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.held_out <= 0.5:
            raise UserError(f"held_out is {self.held_out:g}, must be between 0 and 0.5; 0.02 is usual")
        if self.smoothing is not None and not 0 <= self.smoothing <= 1:
            raise UserError(
                f"smoothing is {self.smoothing:g}, must be from 0 (all languages alike) to 1 (by their size)"
            )

    @cached_property
    def digests(self) -> list[dict[str, str]]:
        """Gives what each source says of its files' contents."""
        return [source.digest() for source in self.sources]

    @cached_property
    def parts_of(self) -> list[list[SourcePart]]:
        """The parts of each source."""
        parts = [source.parts(_PART_BYTES) for source in self.sources]
        if sum(part.num_bytes for some in parts for part in some) > _LARGE_BYTES:
            parts = [source.parts(_LARGE_PART_BYTES) for source in self.sources]
        return parts

    @cached_property
    def parts(self) -> list[SourcePart]:
        found = [part for some in self.parts_of for part in some]
        if not found:
            raise UserError("the sources hold no files; check the paths")
        return found

    @cached_property
    def total_bytes(self) -> int:
        return max(1, sum(part.num_bytes for part in self.parts))

    def survey(self, *, sample_bytes: int) -> Survey:
        return survey(
            self.parts,
            self.policy,
            held_out=self.held_out,
            sample_bytes=sample_bytes,
            smoothing=self.smoothing,
            processes=min(self.processes, len(self.parts), 1 + self.total_bytes // _SURVEY_BYTES),
            progress=self._counting("reading", self.parts),
        )

    def encode(self, tokenizer: Tokenizer, planes: Mapping[str, Plane], found: Survey, work: Path) -> EncodedParts:
        """Every part, encoded below `work`; what the workers warned of is said once here."""
        check_languages(found.languages)
        dtype = dtype_for(tokenizer)
        encode = EncodePart(tokenizer, planes, self.policy, tuple(found.languages), work, dtype)
        reports = self.each(encode, self._tasks(found), self.parts)
        pieces = {split: sum(report.pieces.get(split, 0) for report in reports) for split in FATES}
        lost = sum(report.without_pieces for report in reports)
        return EncodedParts(work, len(self.parts), dtype, pieces, lost)

    def described(self, found: Survey) -> list[dict[str, Any]]:
        """Each source in a few words: name, digest, bytes, documents."""
        sizes = [[part.num_bytes for part in parts] for parts in self.parts_of]
        return described(self.digests, sizes, found)

    def each(
        self, encode: Callable[[Task], Report], tasks: Iterable[Task], parts: Sequence[SourcePart]
    ) -> list[Report]:
        """Gathers what `encode` reports of each of these parts, one task a part; what it warned of is said once."""
        count, reports = self._counting("encoding", parts), []
        done = in_order(encode, tasks, processes=min(self.processes, len(parts)))
        for part, report in zip(parts, done):
            reports.append(report)
            count(part.num_bytes)
        for message in sorted({message for report in reports for message in report.warnings}):
            warnings.warn(message, stacklevel=4)
        return reports

    def check_pieces(self, tokenizer: Tokenizer) -> None:
        """Raises UserError when a source holds the pieces of another tokenizer."""
        recipes = {recipe: part for part in self.parts if (recipe := part.source.piece_recipe) is not None}
        for recipe, part in recipes.items():
            if recipe.make([], corpus_bytes=0).digest != tokenizer.digest:
                raise UserError(
                    f"{next(iter(part.source.digest()))} holds pieces of another tokenizer than the store's; "
                    f"prepare with the one that made them: --tokenizer {to_plain(recipe).get('name')}"
                )

    def settings(self, tokenizer: TokenizerRecipe, planes: Mapping[str, Plane]) -> dict[str, Any]:
        """Gives all that decides on the store that is made of these texts, as it records it."""
        return {
            "made_by": f"afterbert {__version__}",
            "sources": [digest_of(digest) for digest in self.digests],
            **settings_of(tokenizer, planes, self.policy, self.held_out),
            **({} if self.smoothing is None else {"smoothing": self.smoothing}),
        }

    def _tasks(self, found: Survey) -> Iterator[PartTask]:
        for number, part in enumerate(self.parts):
            documents, sections = (
                found.part_documents[[number, number + 1]],
                found.part_sections[[number, number + 1]],
            )
            yield PartTask(number, part, found.contents.hashes[slice(*documents)], found.fates[slice(*sections)])

    def _counting(self, phase: str, parts: Sequence[SourcePart]) -> Callable[[int], None]:
        done, total = 0, max(1, sum(part.num_bytes for part in parts))

        def count(num_bytes: int) -> None:
            nonlocal done
            done += num_bytes
            self.progress(done, total, phase)

        self.progress(0, total, phase)
        return count


def dtype_for(tokenizer: Tokenizer) -> str:
    """How a store holds this tokenizer's pieces: in two bytes where they fit."""
    return "<u2" if tokenizer.vocabulary.size <= 1 << 16 else "<u4"


def check_languages(languages: Sequence[str]) -> None:
    """Raises UserError for more languages than a store can hold."""
    if len(languages) > _MOST_LANGUAGES:
        raise UserError(
            f"the texts name {len(languages)} languages, a store holds {_MOST_LANGUAGES}; check that "
            f"'{languages[-1]}' is a language code"
        )


def described(
    digests: Sequence[Mapping[str, str]], sizes: Sequence[Sequence[int]], found: Survey
) -> list[dict[str, Any]]:
    """Each source in a few words: name, digest, bytes, documents. sizes: bytes of each source's parts."""
    sources, first = [], 0
    for digest, parts in zip(digests, sizes):
        starts = found.part_documents[[first, first + len(parts)]]
        sources.append(
            {
                "name": next(iter(digest)) if len(digest) == 1 else f"{len(digest)} files",
                "digest": digest_of(digest),
                "bytes": sum(parts),
                "documents": int(starts[1] - starts[0]),
            }
        )
        first += len(parts)
    return sources
