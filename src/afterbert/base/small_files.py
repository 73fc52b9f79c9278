"""Files small enough to be read whole, from wherever they come: regular ones only, of a bounded size.

A folder from elsewhere may hold a link to a device or a pipe in place of config.json: reading that would never end.
"""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError, near_file

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
MOST_BYTES = 64 << 20


def check_regular(path: Path | str) -> None:
    """Raises UserError where `path` leads to something that is there but no regular file (a device, a pipe, a
    folder) or may not be read, before a library opens it and waits for ever, or takes it for broken."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # whoever opens it says what is missing
    if not stat.S_ISREG(mode):
        kind = next((said for is_kind, said in _KINDS if is_kind(mode)), "something else")
        raise UserError(f"{path} is {kind}, not a regular file; name a file")
    if not may(path, os.R_OK):
        raise UserError(f"{path} cannot be read ({os.strerror(errno.EACCES)}); change its rights")


def may(path: Path | str, how: int) -> bool:
    """Returns whether this user has the right `how` (os.R_OK, os.W_OK) to an existing path."""
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def read_bytes(path: Path | str, *, most: int = MOST_BYTES, remedy: str = "check the path") -> bytes:
    """Returns the content of a regular file of at most `most` bytes. Raises UserError that names the file, also when it
    is missing."""
    check_regular(path)
    try:
        # Should a pipe have come to stand here since, opening it does not wait for a writer.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            # No more than there is, as room for all of it is taken at once; what has no size (in /proc) is small.
            data = file.read(min(most, max(os.fstat(file.fileno()).st_size, 1 << 20)) + 1)
    except OSError as error:
        cure = near_file(path, remedy) if isinstance(error, FileNotFoundError) else remedy
        raise UserError(f"{path} cannot be read ({error.strerror}); {cure}") from error
    except ValueError as error:  # a NUL in the path, or a letter that the locale does not have
        raise UserError(f"{path} cannot be read ({error}); {remedy}") from error
    if len(data) > most:
        size = os.stat(path).st_size
        raise UserError(f"{path} has {size:,} bytes, more than the {most:,} that are read; is it the right file?")
    return data


def read_text(path: Path | str, *, most: int = MOST_BYTES, remedy: str = "check the path") -> str:
    """Returns the text of a small UTF-8 file without its byte order mark. Raises UserError with the line of the first
    byte that is not UTF-8."""
    data = read_bytes(path, most=most, remedy=remedy)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}:{line} is not UTF-8 at byte {error.start}; save it as UTF-8") from error


def read_json(
    path: Path | str, *, most: int = MOST_BYTES, remedy: str = "make the file again", allows_nan: bool = False
) -> Any:
    """Reads a small JSON file. allows_nan: NaN and infinities are read, which a run that diverged writes.
    Raises UserError with file and line, also for nesting and figures beyond what Python reads."""
    text = read_text(path, most=most, remedy=remedy)
    try:
        return json.loads(text, parse_constant=float if allows_nan else _no_constant)
    except json.JSONDecodeError as error:
        where = f":{error.lineno}" if error.lineno else ""
        raise UserError(f"{path}{where} is not JSON ({error.msg}); {remedy}") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deep to be read; {remedy}") from error
    except ValueError as error:  # an integer of thousands of digits
        raise UserError(f"{path} holds a number that is no size or rate ({error}); {remedy}") from error


def read_json_object(
    path: Path | str, *, most: int = MOST_BYTES, remedy: str = "make the file again", allows_nan: bool = False
) -> dict[str, Any]:
    """Returns the JSON object that a small file holds. Raises UserError as `read_json` does, also for anything else."""
    found = read_json(path, most=most, remedy=remedy, allows_nan=allows_nan)
    if not isinstance(found, dict):
        raise UserError(f"{path} holds a {type(found).__name__}; must be a JSON object; {remedy}")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
