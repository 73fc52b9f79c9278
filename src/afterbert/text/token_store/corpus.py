"""A corpus: the parts of all sources, and the two passes over them."""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.sealed import digest_of
from afterbert.text.files import streams
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.planes import Plane
from afterbert.text.sources import Source, SourcePart
from afterbert.text.token_store.encoded import EncodedPart, EncodedParts
from afterbert.text.token_store.finishing import settings_of
from afterbert.text.token_store.part_files import part_folder
from afterbert.text.token_store.parts import EncodePart
from afterbert.text.token_store.survey import Survey, survey
from afterbert.text.token_store.workers import in_order
from afterbert.text.tokenizers import TokenizerRecipe

# (done, total, phase): bytes of text, or shares of the work
Progress = Callable[[float, float, str], None]


def silent(done: float, total: float, phase: str) -> None:
    """Progress that nobody watches."""


_SURVEY_BYTES = 100_000_000  # read by one process in the time that another needs to start
_PART_BYTES, _LARGE_PART_BYTES, _LARGE_BYTES = 4_000_000, 64_000_000, 8e9


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

    def encode(
        self,
        tokenizer: Tokenizer,
        planes: Mapping[str, Plane],
        work: Path,
        *,
        stamps: Mapping[str, Any],
        numbers: Sequence[int] | None = None,
    ) -> list[EncodedPart]:
        """Returns the parts with these numbers, or all, encoded below `work`. Warnings of the workers are given once
        here. Raises UserError, also for a file that was written to since `stamps` were taken: its digest may be that of
        other contents."""
        numbers = range(len(self.parts)) if numbers is None else numbers
        mine = [(number, self.parts[number]) for number in numbers]
        encode = EncodePart(tokenizer, planes, self.policy, work, dtype_for(tokenizer))
        count, found = self._counting("encoding", [part for _, part in mine]), []
        done = in_order(encode, mine, processes=min(self.processes, len(mine)))
        for (number, part), report in zip(mine, done):
            found.append(EncodedPart(part_folder(work, number), report))
            count(part.num_bytes)
        for message in sorted({message for one in found for message in one.report.warnings}):
            warnings.warn(message, stacklevel=3)
        now = stamps_of(part for _, part in mine)
        for path in (path for path in now if now[path] != stamps[path]):
            raise UserError(
                f"{streams.shown(path)} is not what it was when this was begun; start again when nobody writes to it"
            )
        return found

    def joined(self, parts: Sequence[EncodedPart], tokenizer: Tokenizer) -> EncodedParts:
        """Returns all parts, encoded, and what becomes of their documents. Raises UserError."""
        return EncodedParts.of(parts, self.policy, held_out=self.held_out, dtype=dtype_for(tokenizer))

    def described(self, found: Survey) -> list[dict[str, Any]]:
        """Returns each source in a few words: name, digest, bytes, documents."""
        sizes = [[part.num_bytes for part in parts] for parts in self.parts_of]
        return described(self.digests, sizes, found)

    def check_pieces(self, tokenizer: Tokenizer) -> None:
        """Raises UserError if a source holds the pieces of another tokenizer."""
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
            "sources": [digest_of(digest) for digest in self.digests],
            **settings_of(tokenizer, planes, self.policy, self.held_out),
            **({} if self.smoothing is None else {"smoothing": self.smoothing}),
        }

    def _counting(self, phase: str, parts: Sequence[SourcePart]) -> Callable[[int], None]:
        done, total = 0, max(1, sum(part.num_bytes for part in parts))

        def count(num_bytes: int) -> None:
            nonlocal done
            done += num_bytes
            self.progress(done, total, phase)

        self.progress(0, total, phase)
        return count


def stamps_of(parts: Iterable[SourcePart]) -> dict[str, tuple[int, int]]:
    """Returns path -> size and time of the last change of the files of these parts; not every source is a file."""
    inner: list[Any] = [getattr(part.source, "inner", part.source) for part in parts]
    paths = {path for one in inner for path in getattr(one, "paths", (getattr(one, "path", ""),))}
    return {path: streams.stamp_of(path) for path in sorted(paths) if os.path.isfile(path)}


def dtype_for(tokenizer: Tokenizer) -> str:
    """Returns the type in which a store holds this tokenizer's pieces: two bytes where they fit."""
    return "<u2" if tokenizer.vocabulary.size <= 1 << 16 else "<u4"


def described(
    digests: Sequence[Mapping[str, str]], sizes: Sequence[Sequence[int]], found: Survey
) -> list[dict[str, Any]]:
    """Returns each source in a few words: name, digest, bytes, documents. sizes: bytes of each source's parts."""
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
