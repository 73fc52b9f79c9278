"""Reading a file as text: UTF-8, UTF-16 of spreadsheets, or a line that says where it is neither."""

import codecs
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.small_files import check_regular

_HEAD_BYTES = 65_536


def read_text(path: Path) -> str:
    """The file's text, byte order mark dropped and line ends as `\\n`. Raises UserError when it is missing,
    empty, binary, or broken."""
    check_regular(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    encoding = encoding_of(path, data[:_HEAD_BYTES])
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = "UTF-8" if encoding == "utf-8-sig" else "UTF-16"
        raise UserError(f"{path}:{line}: is not {name} at byte {error.start}; save it as UTF-8") from error
    if not text.strip():
        raise UserError(f"{path}: is empty; name a file with rows")
    return text.replace("\r\n", "\n")


def read_lines(path: Path) -> list[str]:
    """Its lines without their ends; only `\\n` and `\\r\\n` end a line (text may hold U+2028 and others)."""
    lines = read_text(path).split("\n")
    return lines if lines[-1] else lines[:-1]


def read_head(path: Path) -> str:
    """The first characters, whatever their encoding."""
    check_regular(path)
    try:
        with path.open("rb") as file:
            data = file.read(_HEAD_BYTES)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    return data.decode(encoding_of(path, data), errors="ignore").replace("\r\n", "\n")


def encoding_of(path: Path, head: bytes) -> str:
    """How a file of text is encoded, from its first bytes, as Python names it: UTF-8, or UTF-16 as spreadsheets export
    it, with a byte order mark or without. Raises UserError where it is no text.

    >>> encoding_of(Path("a"), "text".encode()), encoding_of(Path("a"), "text".encode("utf-16-le"))
    ('utf-8-sig', 'utf-16-le')
    """
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" not in head:
        return "utf-8-sig"
    # Of Latin letters, spaces and line ends one byte of two is zero, always the same one.
    first, second = head[0::2].count(0), head[1::2].count(0)
    if min(first, second) == 0 and 8 * max(first, second) >= len(head) // 2:
        return "utf-16-be" if first else "utf-16-le"
    raise UserError(f"{path}: holds zero bytes, so it is no text; save it as UTF-8 text")
