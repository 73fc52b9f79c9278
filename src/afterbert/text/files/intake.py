"""Where the texts of one file pass the policy and enter the tally."""

import re
from collections.abc import Iterable, Iterator

import xxhash

from afterbert.base.errors import UserError
from afterbert.text.files.documents import EMPTY, Document, Tally
from afterbert.text.files.policy import RUNS, Policy
from afterbert.text.files.streams import Place, located

NOT_UTF8 = "not UTF-8"
HALF_CHARACTER = "half a character (lone surrogate)"
BROKEN = "broken record"
REPLACED = "bytes that are not UTF-8, replaced"
HALF_REPLACED = "half characters (lone surrogates), replaced"
LONE_RETURNS = "lone carriage returns made line ends"

_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = b"\xef\xbf\xbd"


class Intake:
    """One file (or part of one) being read under a policy. `name` begins the ids of its documents; all offsets are
    bytes of the unpacked file. Every document a source finds goes through `documents` once, or through `lose` once."""

    def __init__(
        self, policy: Policy, tally: Tally, *, path: str, name: str, language: str | None = None, unit: str = "byte"
    ):
        self.policy, self.tally = policy, tally
        self.path, self.name, self.language, self.unit = path, name, language, unit

    def place(self, offset: int) -> Place:
        """Returns the place of a byte (or row) of this file."""
        return Place(self.path, offset, unit=self.unit)

    def lone_returns(self, count: int, offset: int) -> None:
        """Is called by `streams.chunks` when it mends line ends."""
        self.tally.repair(LONE_RETURNS, self.place(offset), count)

    def lose(self, reason: str, offset: int) -> None:
        """Counts a document that was found but cannot be given on."""
        self.tally.documents += 1
        self.tally.drop(reason, self.place(offset))

    def broken(self, offset: int, found: str, remedy: str) -> None:
        """Reports a record that is not what its format asks for. Raises UserError unless the policy skips these."""
        if self.policy.errors != "skip-document":
            raise UserError(f"{located(self.place(offset))}: {found}; {remedy}")
        self.lose(BROKEN, offset)

    def decoded(self, raw: bytes, offset: int) -> str | None:
        """Returns the text of a document's (or record's) bytes; None if the policy drops it, which is then counted.
        Raises UserError."""
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            byte, at = raw[error.start], offset + (error.start if self.unit == "byte" else 0)
        if not self._may_replace(NOT_UTF8, at, f"{_describe(byte)} is not UTF-8; convert the file"):
            return None
        text = raw.decode(errors="replace")
        self.tally.repair(REPLACED, self.place(at), text.count("\ufffd") - raw.count(_REPLACEMENT))
        return text

    def documents(
        self, text: str, offset: int, *, id: str | None = None, language: str | None = None
    ) -> Iterable[Document]:
        """Returns the documents that one text at this offset makes: none, one, or several when it is too long."""
        try:
            raw = text.encode()
        except UnicodeEncodeError as error:
            half = f"'\\u{ord(text[error.start]):04x}' is half a character (a lone surrogate); mend the text"
            if not self._may_replace(HALF_CHARACTER, offset, half):
                return ()
            text, count = _SURROGATE.subn("\ufffd", text)
            self.tally.repair(HALF_REPLACED, self.place(offset), count)
            raw = text.encode()
        self.tally.documents += 1
        id = id or f"{self.name}@{offset}"
        language = language or self.dealt(id)
        if len(raw) > self.policy.max_document_bytes:
            return self._pieces(raw, offset, id=id, language=language)
        return self.piece(text, offset, id=id, language=language, is_plain=self.policy.is_plain(raw))

    def _pieces(self, whole: bytes, offset: int, *, id: str, language: str | None) -> Iterator[Document]:
        for number, raw in enumerate(self.policy.pieces(whole)):
            self.tally.pieces += number > 0
            piece_id = f"{id}.{number + 1}" if number else id
            is_plain = self.policy.is_plain(raw)
            yield from self.piece(raw.decode(), offset, id=piece_id, language=language, is_plain=is_plain)

    def piece(self, text: str, offset: int, *, id: str, language: str | None, is_plain: bool) -> tuple[Document, ...]:
        """Returns the document made of a text that is short enough, if anything is left of it. is_plain: what
        `Policy.is_plain` says of it, or of more text around it."""
        if not is_plain:
            text, repaired, noticed = self.policy.clean(text)
            for reason, count in repaired.items():
                self.tally.repair(reason, self.place(offset), count)
            for reason, count in noticed.items():
                self.tally.notice(reason, self.place(offset), count)
        elif "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text or text.isspace():
            self.tally.drop(EMPTY, self.place(offset))
            return ()
        if len(text) > self.policy.max_run_length:
            text, breaks = self.policy.break_runs(text)
            if breaks:
                self.tally.repair(RUNS, self.place(offset), breaks)
        self.tally.kept += 1
        return (Document(id, text, language, place=self.place(offset)),)

    def dealt(self, id: str) -> str | None:
        """Returns the language of the document of this name: of several codes with commas between, one by the name, so
        that `en,en-mirror` makes of one language two.

        >>> named = Intake(Policy(), Tally(), path="a.txt", name="a.txt", language="en,en-mirror")
        >>> sorted({named.dealt(str(number)) for number in range(20)})
        ['en', 'en-mirror']
        """
        codes = (self.language or "").split(",")
        return codes[xxhash.xxh3_64_intdigest(id.encode("utf-8", "surrogatepass")) % len(codes)].strip() or None

    def _may_replace(self, reason: str, offset: int, found: str) -> bool:
        """Whether what is no text is to be replaced; else its document is lost for this reason. Raises UserError."""
        if self.policy.errors == "fail":
            place = located(self.place(offset))
            raise UserError(f"{place}: {found}, or say --errors replace or skip-document")
        if self.policy.errors == "skip-document":
            self.lose(reason, offset)
        return self.policy.errors == "replace"


def _describe(byte: int) -> str:
    """What a byte that is not UTF-8 probably was meant to be.

    >>> _describe(0xE9)
    "byte 0xE9 ('é' in Windows-1252)"
    """
    meant = bytes([byte]).decode("cp1252", errors="ignore")
    return f"byte 0x{byte:02X}" + (f" ('{meant}' in Windows-1252)" if meant.isprintable() and meant else "")
