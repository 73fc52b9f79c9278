"""Reading a file as text: UTF-8 or a line that says where it is not."""

from __future__ import annotations

from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.small_files import check_regular

_HEAD_BYTES = 65_536


def read_text(path: Path) -> str:
    """The file's text, byte order mark dropped and line ends as `\\n`. Raises UserError when it is missing,
    empty, binary or not UTF-8."""
    check_regular(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if b"\0" in data[:_HEAD_BYTES]:
        raise UserError(f"{path}: holds zero bytes, so it is UTF-16 or no text; save it as UTF-8 text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line}: is not UTF-8 at byte {error.start}; save it as UTF-8") from error
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
            return file.read(_HEAD_BYTES).decode("utf-8-sig", errors="ignore").replace("\r\n", "\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
