"""What sources that read one file share."""

import os
import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from afterbert.base.numbers import Count
from afterbert.text.files import streams
from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.intake import Intake
from afterbert.text.files.policy import Policy
from afterbert.text.sources import Source, SourcePart

_LINE_END = re.compile(rb"\n")


@dataclass(frozen=True)
class StoredFile(Source):
    """One file. name: how document ids begin; the file's own name when not given. language: of all its documents, as a
    code such as `de`."""

    path: str
    name: str | None = None
    language: str | None = None

    @property
    def title(self) -> str:
        """The name, fit for ids."""
        return streams.shown(self.name or os.path.basename(self.path))

    def digest(self) -> dict[str, str]:
        return {self.title: " ".join([streams.digest_of(self.path), *self.settings])}


@dataclass(frozen=True)
class FileSource(StoredFile):
    """One text file, which may be packed (.gz, .zst). max_unpacked_bytes: a packed file that grows beyond this, or
    beyond 200 times its size, is refused."""

    max_unpacked_bytes: Count = streams.MAX_UNPACKED_BYTES

    @property
    def gap(self) -> re.Pattern[bytes]:
        """Finds what stands between two documents; a part starts where one ends."""
        return _LINE_END

    def parts(self, target_bytes: int) -> list[SourcePart]:
        size = streams.size_of(self.path)
        next(streams.chunks(self.path, max_unpacked_bytes=self.max_unpacked_bytes), None)
        starts = [0]
        if not streams.packing_of(self.path) and size > target_bytes:
            starts += self._inner_starts(size, target_bytes)
        stops = [*starts[1:], None]
        return [SourcePart(self, a, b, (size if b is None else b) - a) for a, b in zip(starts, stops)]

    def _inner_starts(self, size: int, target_bytes: int) -> list[int]:
        starts, at = [], target_bytes
        while at < size and (start := streams.next_start(self.path, at, self.gap)):
            starts.append(start)
            at = start + target_bytes
        return starts

    def read(self, part: SourcePart, policy: Policy, tally: Tally) -> Iterator[Document]:
        intake = Intake(policy, tally, path=self.path, name=self.title, language=self.language)
        if part.start == 0:
            kind = streams.extension_of(self.path) + streams.packing_of(self.path) or "no extension"
            tally.files[kind] += 1
        return self._documents(part, intake, self._chunks(part, intake))

    def _chunks(self, part: SourcePart, intake: Intake) -> Iterator[tuple[int, bytes]]:
        found = streams.chunks(
            self.path,
            start=part.start,
            stop=part.stop,
            max_unpacked_bytes=self.max_unpacked_bytes,
            on_lone_returns=intake.lone_returns,
        )
        for offset, chunk in found:
            intake.tally.bytes += len(chunk)
            yield offset, chunk

    @abstractmethod
    def _documents(
        self, part: SourcePart, intake: Intake, chunks: Iterator[tuple[int, bytes]]
    ) -> Iterator[Document]: ...
