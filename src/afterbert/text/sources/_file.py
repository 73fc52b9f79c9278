"""What sources that read one file share."""

import os
import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from afterbert.base.errors import UserError
from afterbert.base.numbers import Count
from afterbert.text.files import streams
from afterbert.text.files.documents import Document, Tally
from afterbert.text.files.intake import Intake
from afterbert.text.files.policy import Policy
from afterbert.text.sources import Source, SourcePart

LINE_END = re.compile(rb"\n")
_LINE = re.compile(rb"([^\n]+)")
_ANY_LINE = re.compile(rb"([^\n]*)\n")
# A line must fit into memory several times over to be parsed.
MAX_RECORD_BYTES = 64 << 20


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
        return LINE_END

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


def lines(
    chunks: Iterator[tuple[int, bytes]], intake: Intake, *, keep_empty: bool = False
) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, line without its newline), whatever the chunks; the last may lack one. Raises UserError."""
    pattern = _ANY_LINE if keep_empty else _LINE
    begin, size = 0, 0
    open_line: list[bytes] = []
    for offset, chunk in chunks:
        at = 0
        if open_line:
            at = chunk.find(b"\n") + 1
            open_line.append(chunk[: at - 1] if at else chunk)
            size += len(open_line[-1])
            if size > MAX_RECORD_BYTES:
                place, limit = streams.located(intake.place(begin)), f"{MAX_RECORD_BYTES >> 20} MB"
                raise UserError(f"{place}: a line is longer than {limit}; give each document a line of its own")
            if not at:
                continue
            yield begin, b"".join(open_line)
        end = chunk.rfind(b"\n") + 1
        for line in pattern.finditer(chunk, at, end):
            yield offset + line.start(), line[1]
        begin, size = offset + end, len(chunk) - end
        open_line = [chunk[end:]] if size else []
    if open_line:
        yield begin, b"".join(open_line)
