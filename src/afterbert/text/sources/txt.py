"""Plain text: documents separated by blank lines, one a line, or one a file."""

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from afterbert.text.files.documents import EMPTY, Document
from afterbert.text.files.intake import Intake
from afterbert.text.files.policy import cut_point
from afterbert.text.sources import SourcePart
from afterbert.text.sources._file import FileSource

OF_PARAGRAPHS = "files with blank lines, one document each"
OF_LINES = "files of lines without a blank one, one document each"

_BLANK_LINE = re.compile(rb"\n\s*\n\s*")
_LINE_END = re.compile(rb"\n\s*")
_NOWHERE = re.compile(rb"(?!)")
_MANY_LINES = 20  # more than a text has that is wrapped or a short poem


@dataclass(frozen=True, kw_only=True)
class Txt(FileSource):
    """UTF-8 text. Markdown and WikiText are read as plain text.

    documents: what separates two documents. `paragraphs`: one or more blank lines (a line of white space is
    blank), the right choice for a corpus in one file; `line`: every line that is not blank is one; `file`:
    the file is one document (a book). White space around a document is left out.
    """

    extensions: ClassVar[tuple[str, ...]] = (".txt", ".text", ".md", ".markdown", ".tokens", ".raw")
    documents: Literal["paragraphs", "line", "file"] = "paragraphs"

    @property
    def gap(self) -> re.Pattern[bytes]:
        return {"paragraphs": _BLANK_LINE, "line": _LINE_END, "file": _NOWHERE}[self.documents]

    def _inner_starts(self, size: int, target_bytes: int) -> list[int]:
        return [] if self.documents == "file" else super()._inner_starts(size, target_bytes)

    def _documents(self, part: SourcePart, intake: Intake, chunks: Iterator[tuple[int, bytes]]) -> Iterator[Document]:
        """Holds at most one chunk and twice `max_document_bytes`, whatever the file is like."""
        straddling, held, end = _Open(intake), b"", part.start
        has_blank_line, lines = False, 0
        for offset, chunk in chunks:
            buffer, end = held + chunk, offset + len(chunk)
            has_blank_line = has_blank_line or _BLANK_LINE.search(buffer.strip()) is not None
            lines += chunk.count(b"\n")
            begin, at, is_plain = end - len(buffer), 0, intake.policy.is_plain(buffer)
            for gap in self.gap.finditer(buffer):
                if at == 0:
                    yield from straddling.finish(buffer[: gap.start()], begin, is_plain)
                    straddling = _Open(intake)
                else:
                    yield from _whole(buffer[at : gap.start()], begin + at, is_plain, intake)
                at = gap.end()
            held = buffer[at:]
            if len(held) > intake.policy.max_document_bytes:
                held = yield from straddling.relieve(held, end - len(held), is_plain)
        yield from straddling.finish(held, end - len(held), is_plain=False)
        if self.documents == "file" and straddling.first is None:
            intake.lose(EMPTY, part.start)
        elif self.documents == "file" and has_blank_line:
            intake.tally.notice(OF_PARAGRAPHS, intake.place(0))
        is_whole = part.start == 0 and part.stop is None
        if self.documents == "paragraphs" and is_whole and not has_blank_line and lines > _MANY_LINES:
            intake.tally.notice(OF_LINES, intake.place(0))


def _whole(raw: bytes, offset: int, is_plain: bool, intake: Intake) -> Iterable[Document]:
    """The document with these bytes, which begin with it and may end in white space."""
    raw = raw.rstrip()
    if len(raw) > intake.policy.max_document_bytes:
        return _Open(intake).finish(raw, offset, is_plain)
    text = intake.decoded(raw, offset)
    if text is None:
        return ()
    intake.tally.documents += 1
    id = f"{intake.name}@{offset}"
    return intake.piece(text, offset, id=id, language=intake.dealt(id), is_plain=is_plain)


class _Open:
    """A document that is being read: the offset of its first character, once seen, and how many pieces of it
    are out."""

    def __init__(self, intake: Intake):
        self.intake, self.limit = intake, intake.policy.max_document_bytes
        self.first: int | None = None
        self.pieces = 0

    def finish(self, raw: bytes, offset: int, is_plain: bool) -> Iterator[Document]:
        """The rest of the document, which is at hand as a whole and starts at this offset."""
        raw = raw.rstrip()
        rest = yield from self._cut(raw, offset, is_plain)
        if rest:
            yield from self._piece(rest, offset + len(raw) - len(rest), is_plain)

    def relieve(self, raw: bytes, offset: int, is_plain: bool) -> Generator[Document, None, bytes]:
        """Cuts pieces off a document that goes on, exactly as `finish` would; returns what to hold until
        more is read."""
        content = raw.rstrip()
        white = raw[len(content) :]
        rest = yield from self._cut(content, offset, is_plain)
        if len(rest) + len(white) <= 2 * self.limit:
            return rest + white
        # A flood of white space: only whether it ends the document matters.
        if rest:
            yield from self._piece(rest, offset + len(content) - len(rest), is_plain)
        return b"\n" * min(2, white.count(b"\n"))

    def _cut(self, raw: bytes, offset: int, is_plain: bool) -> Generator[Document, None, bytes]:
        """Gives pieces until what is left, which it returns, is no longer than one."""
        end, raw = offset + len(raw), raw.lstrip()
        while len(raw) > self.limit:
            at = cut_point(raw, self.limit)
            yield from self._piece(raw[:at], end - len(raw), is_plain)
            raw = raw[at:].lstrip()
        return raw

    def _piece(self, raw: bytes, offset: int, is_plain: bool) -> Iterator[Document]:
        if self.first is None:
            self.first = offset
        self.pieces += 1
        text = self.intake.decoded(raw, offset)
        if text is not None:
            id = f"{self.intake.name}@{self.first}"
            language = self.intake.dealt(id)
            if self.pieces == 1:
                self.intake.tally.documents += 1
            else:
                self.intake.tally.pieces += 1
                id += f".{self.pieces}"
            yield from self.intake.piece(text, offset, id=id, language=language, is_plain=is_plain)
