"""The bytes of a file: opened, unpacked within limits, refused when they are no text, and where each one stands.

Everything here is binary, in chunks of one size, so that neither the locale nor the length of a line matters. Line ends
are ``\\n`` and ``\\r\\n``; a carriage return on its own (old Macintosh files) is turned into ``\\n`` and counted.
"""

import gzip
import os
import re
import shlex
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import BinaryIO, NamedTuple

import numpy as np
import xxhash

from afterbert.base.errors import UserError, did_you_mean, near_file
from afterbert.base.extras import from_extra

CHUNK_BYTES = 1 << 20
HEAD_BYTES = 8192
# Text packs 3 to 20 to one, a gzip bomb 1000 to one (the format's end), zstd far more.
MAX_RATIO = 200
UNSUSPICIOUS_BYTES = 16_000_000
MAX_UNPACKED_BYTES = 100_000_000_000

PACKED = (".gz", ".zst")
ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar", ".jar", ".epub", ".docx", ".bz2", ".xz", ".lz4", ".br")

# A line must fit into memory several times over to be parsed.
MAX_LINE_BYTES = 64 << 20

_LINE = re.compile(rb"([^\n]+)")
_ANY_LINE = re.compile(rb"([^\n]*)\n")
_BOM = b"\xef\xbb\xbf"
_WIDE_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32LE"),
    (b"\x00\x00\xfe\xff", "UTF-32BE"),
    (b"\xff\xfe", "UTF-16LE"),
    (b"\xfe\xff", "UTF-16BE"),
)
_MAGIC = (
    (b"%PDF-", "a PDF document"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"BZh91AY&SY", "bzip2 data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"\x7fELF", "a program (ELF)"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1\x15", "a Parquet file"),
    (b"ARROW1\x00\x00", "an Arrow file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"{\\rtf", "an RTF document"),
)
_ENDINGS = {"gzip data": ".gz", "zstd data": ".zst", "a Parquet file": ".parquet"}


class Place(NamedTuple):
    """A byte of a file (of its unpacked content, where it is packed) and its line from 1 where that is
    known; or a row from 0."""

    path: str
    offset: int
    line: int | None = None
    unit: str = "byte"

    def __str__(self) -> str:
        """
        >>> str(Place("notes.txt", 40, line=3)), str(Place("notes.parquet", 40, unit="row"))
        ('notes.txt:3 (byte 40)', 'notes.parquet (row 40)')
        """
        if self.unit == "line":
            return f"{shown(self.path)}:{self.offset}"
        line = "" if self.line is None else f":{self.line}"
        return f"{shown(self.path)}{line} ({self.unit} {self.offset})"


def shown(path: str) -> str:
    """Returns a path (or any name) in a form that may be printed anywhere: without control characters, and the same in
    every locale.

    >>> shown("caf\\udce9/\\x1b[2J.txt")
    'caf\\\\xe9/\\\\x1b[2J.txt'
    """
    try:
        path = os.fsencode(path).decode(errors="backslashreplace")
    except UnicodeEncodeError:  # not from this system
        path = path.encode(errors="backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)


def near_name(name: str, known: Iterable[str]) -> str:
    """Returns the end of a sentence with those of a file's own names (of columns, of keys) that are like this one."""
    return did_you_mean(name, [shown(one)[:40] for one in islice(known, 20)])


def packing_of(path: str) -> str:
    """Returns `.gz`, `.zst` or an empty text, by the file's name.

    >>> packing_of("a.txt.GZ"), packing_of("a.txt")
    ('.gz', '')
    """
    ending = os.path.splitext(path)[1].lower()
    return ending if ending in PACKED else ""


def extension_of(path: str) -> str:
    """Returns the extension that tells the kind of file, without the packing; for an archive, the outermost.

    >>> extension_of("a/b.JSONL.gz"), extension_of("a.tar.gz"), extension_of("LICENSE")
    ('.jsonl', '.tar', '')
    """
    stem, ending = os.path.splitext(path)
    if ending.lower() in PACKED:
        ending = os.path.splitext(stem)[1]
    return ending.lower()


def open_file(path: str) -> BinaryIO:
    """Returns a regular file, opened for reading; the caller closes it. Raises UserError."""
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISREG(kind):
            return open(path, "rb")
    except OSError as error:
        cure = near_file(path, "check the path") if isinstance(error, FileNotFoundError) else "check its rights"
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}; {shown(cure)}") from None
    except ValueError as error:  # a NUL in the path, or a character that the locale does not have
        raise UserError(f"{shown(path)} cannot be read: {error}; set LC_ALL=C.UTF-8 or rename it") from None
    remedy = "name a file" if stat.S_ISDIR(kind) else "pipe it in and name it '-'"
    raise UserError(f"{shown(path)} is not a regular file; {remedy}")


def size_of(path: str) -> int:
    """Returns the bytes on disk. Raises UserError as `open_file` does."""
    return stamp_of(path)[0]


def stamp_of(path: str) -> tuple[int, int]:
    """Returns the bytes on disk, and when they last changed, in nanoseconds. Raises UserError as `open_file` does."""
    with open_file(path) as file:
        found = os.fstat(file.fileno())
        return found.st_size, found.st_mtime_ns


def digest_of(path: str) -> str:
    """Returns in one word the size and the 128-bit xxh3 of the file as it lies on disk."""
    digest, size = xxhash.xxh3_128(), 0
    with open_file(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return f"{size}-{digest.hexdigest()}"


def chunks(
    path: str,
    *,
    start: int = 0,
    stop: int | None = None,
    max_unpacked_bytes: int = MAX_UNPACKED_BYTES,
    on_lone_returns: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, bytes) of a text file from `start` to `stop`, about a megabyte each, in bounded memory.

    Unpacked where the name ends in .gz or .zst (then offsets count unpacked bytes, and start must be 0); the
    byte order mark left out; every lone carriage return turned into a newline and told to
    `on_lone_returns(how many, offset of the first)`. Raises UserError for what is no text and for bombs.
    """
    stored = _stored(path, start, stop, max_unpacked_bytes)
    offset, held = start, b""
    if start == 0:
        held = _head(path, stored)
        offset = len(_BOM) if held.startswith(_BOM) else 0
        held = held[offset:]
    for chunk in chain(stored, [b""]):
        chunk = held + chunk
        # A final return may be the first half of \r\n: it waits for the next chunk.
        held = b"\r" if chunk.endswith(b"\r") else b""
        chunk = chunk[: len(chunk) - len(held)]
        if chunk:
            yield offset, _with_newlines(chunk, offset, on_lone_returns)
            offset += len(chunk)
    if held:
        yield offset, _with_newlines(held, offset, on_lone_returns)


def lines(found: Iterator[tuple[int, bytes]], path: str, *, keep_empty: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yields (offset, line without its newline) of the chunks of a file; the last may lack one. Raises UserError."""
    pattern = _ANY_LINE if keep_empty else _LINE
    begin, size = 0, 0
    open_line: list[bytes] = []
    for offset, chunk in found:
        at = 0
        if open_line:
            at = chunk.find(b"\n") + 1
            open_line.append(chunk[: at - 1] if at else chunk)
            size += len(open_line[-1])
            if size > MAX_LINE_BYTES:
                place, limit = located(Place(path, begin)), f"{MAX_LINE_BYTES >> 20} MB"
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


def _head(path: str, stored: Iterator[bytes]) -> bytes:
    head = b""
    while len(head) < HEAD_BYTES and (chunk := next(stored, b"")):
        head += chunk
    refuse_binary(path, head[:HEAD_BYTES])
    return head


def _with_newlines(chunk: bytes, offset: int, tell: Callable[[int, int], None] | None) -> bytes:
    if b"\r" not in chunk:
        return chunk
    characters = np.frombuffer(chunk, dtype=np.uint8)  # a chunk of returns alone would be millions of matches
    is_lone = characters == ord("\r")
    is_lone[:-1] &= characters[1:] != ord("\n")
    lone = int(is_lone.sum())
    if not lone:
        return chunk
    if tell:
        tell(lone, offset + int(is_lone.argmax()))
    return np.where(is_lone, np.uint8(ord("\n")), characters).tobytes()


def _stored(path: str, start: int, stop: int | None, max_unpacked_bytes: int) -> Iterator[bytes]:
    with open_file(path) as file:
        packing = packing_of(path)
        if not packing:
            yield from _plain(file, start, stop)
            return
        assert start == 0 and stop is None, "a packed file is one part"
        size = os.fstat(file.fileno()).st_size
        allowed = min(max_unpacked_bytes, max(UNSUSPICIOUS_BYTES, MAX_RATIO * size))
        unpacked = 0
        for chunk in _gunzipped(file, path) if packing == ".gz" else _unzstd(file, path):
            unpacked += len(chunk)
            if unpacked > allowed:
                raise UserError(
                    f"{shown(path)} unpacks to more than {allowed:,} bytes from {size:,}: refused as a bomb; "
                    "if it is sound, unpack it yourself"
                )
            yield chunk


def _plain(file: BinaryIO, start: int, stop: int | None) -> Iterator[bytes]:
    file.seek(start)
    while stop is None or start < stop:
        chunk = file.read(CHUNK_BYTES if stop is None else min(CHUNK_BYTES, stop - start))
        if not chunk:
            return
        start += len(chunk)
        yield chunk


def _gunzipped(file: BinaryIO, path: str) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            while chunk := unpacked.read(CHUNK_BYTES):
                yield chunk
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{shown(path)} is not sound gzip data ({error}); fetch or pack it again") from None


def _unzstd(file: BinaryIO, path: str) -> Iterator[bytes]:
    zstandard = from_extra("zstandard", "data", needed_by=shown(path))
    # A window above 128 MB is not needed for text. Fed a kilobyte at a time, one call gives at most some 30 MB.
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    frame, has_begun, ready = unpacker.decompressobj(), False, bytearray()
    try:
        while packed := file.read(1024):
            while packed:
                has_begun = True
                ready += frame.decompress(packed)
                packed = frame.unused_data if frame.eof else b""
                if frame.eof:
                    frame, has_begun = unpacker.decompressobj(), False
            if len(ready) >= CHUNK_BYTES:
                yield bytes(ready)
                ready.clear()
    except zstandard.ZstdError as error:
        raise UserError(f"{shown(path)} is not sound zstd data ({error}); fetch or pack it again") from None
    if has_begun:
        raise UserError(f"{shown(path)} is not sound zstd data (it ends early); fetch or pack it again")
    yield bytes(ready)


def refuse_binary(path: str, head: bytes) -> None:
    """Raises UserError if the first bytes of a file (unpacked) are no UTF-8 text, with what they look like."""
    for mark, name in _WIDE_MARKS:
        if head.startswith(mark):
            raise _wide(path, name)
    for mark, name in _MAGIC:
        if head.startswith(mark):
            ending = _ENDINGS.get(name)
            remedy = f"end its name in {ending}" if ending else "extract its text first"
            raise UserError(f"{shown(path)} looks like {name}, not text; {remedy}")
    if head[257:262] == b"ustar":
        raise UserError(f"{shown(path)} looks like a tar archive, not text; unpack it first")
    if b"\x00" in head:
        if wide := _unmarked_wide(head):
            raise _wide(path, wide)
        raise UserError(f"{shown(path)} looks like binary data (a NUL at byte {head.index(0)}), not text; leave it out")


def _wide(path: str, name: str) -> UserError:
    convert = f"iconv -f {name} -t UTF-8 {shlex.quote(shown(path))} > NEW"
    return UserError(f"{shown(path)} looks like {name}, must be UTF-8; convert it: {convert}")


def _unmarked_wide(head: bytes) -> str | None:
    """Western text in UTF-16 or UTF-32 without a mark has its NULs at every second, or at three of four bytes."""
    nuls = [head[lane::4].count(0) / max(1, len(head[lane::4])) for lane in range(4)]
    patterns = {"UTF-32LE": (0, 1, 1, 1), "UTF-32BE": (1, 1, 1, 0), "UTF-16LE": (0, 1, 0, 1), "UTF-16BE": (1, 0, 1, 0)}
    for name, pattern in patterns.items():
        if all(abs(share - expected) < 0.3 for share, expected in zip(nuls, pattern)):
            return name
    return None


def located(place: Place) -> Place:
    """Gives the same place with its line, counted by reading the file up to there (only errors and reports need it)."""
    if place.line is not None or place.unit != "byte":
        return place
    line = 1
    for offset, chunk in chunks(place.path):
        line += chunk[: max(0, place.offset - offset)].count(b"\n")
        if offset + len(chunk) >= place.offset:
            break
    return place._replace(line=line)


def next_start(path: str, at: int, gap: re.Pattern[bytes]) -> int | None:
    """Returns the first offset at or after `at` where a document starts: the end of the next whole gap, or None if
    there is none before the end.

    `gap` is a pattern that ends in greedy white space, so a whole gap is one with a byte behind it.
    """
    tail = b""
    for offset, chunk in chunks(path, start=at):
        buffer = tail + chunk
        found = gap.search(buffer)
        if found and found.end() < len(buffer):
            return offset + len(chunk) - (len(buffer) - found.end())
        # Only the newlines of the white space at the end matter to what follows, and two are as good as many.
        white = buffer[len(buffer.rstrip()) :]
        tail = b"\n" * min(2, white.count(b"\n"))
    return None
