"""Places that a user names to be written: what stands there is replaced where we made it, else refused.

A folder that we made holds `.afterbert.json` with the names of what was written into it, so that a file which came
later is not taken for ours. A file that we made says so in its first bytes.
"""

import errno
import glob
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.base.small_files import may, read_json_object

MARKER = ".afterbert.json"
# In the head of every page that we write, by which it is known again.
PAGE_MARK = '<meta name="generator" content="afterbert">'
_CURE = "name another place, or say --overwrite"
_FIRST_BYTES = 4096


def check_apart(out: Path, read: str | Path) -> None:
    """Raises UserError where `out` is the folder that a model is read from."""
    if Path(read).resolve() == out.resolve():
        raise UserError(f"{out} is the folder the model is read from; name another one to write")


@contextmanager
def folder_claimed(out: Path, *, made_by: str, overwrite: bool = False) -> Iterator[None]:
    """Makes the folder `out`, or finds that it is empty or ours, and marks it; a new one goes again where what is done
    inside is refused before any run has begun in it. Raises UserError if it is a link or holds what we did not make,
    unless `overwrite`."""
    check_folder(out, overwrite=overwrite)
    new = [one for one in (out, *out.parents) if not one.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        _mark(out, made_by, sorted(_ours(out)))
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); name another place") from error
    try:
        yield
    except UserError:
        if new and not any(out.rglob("course.json")):
            shutil.rmtree(out, ignore_errors=True)
            for folder in new[1:]:
                with suppress(OSError):
                    folder.rmdir()
        raise


@contextmanager
def folder_written(out: Path, *, made_by: str, overwrite: bool = False) -> Iterator[Path]:
    """Gives an empty folder beside `out` to write into. At the end its content stands in `out`, what an earlier call
    wrote there is gone, and all else is as it was; after an error `out` is as it was. Raises UserError as
    `folder_claimed` does, before anything is written, and where a new file would replace one that is not ours."""
    check_folder(out, overwrite=overwrite)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = aside_of(out)
        aside.mkdir()
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); name another place") from error
    try:
        yield aside
        _move_in(aside, out, made_by, overwrite)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_folder(out: Path, *, overwrite: bool = False) -> None:
    """Raises UserError where `out` may not be written, is a link, a file, or a folder with something in it that we did
    not make; with `overwrite` a link and such a folder pass."""
    check_writable(out)
    if out.is_symlink() and not overwrite:
        raise UserError(f"{out} is a link to {os.readlink(out)}; {_CURE}")
    if os.path.lexists(out) and not out.is_dir():
        raise UserError(f"{out} is no folder; name another place")
    if overwrite or not out.is_dir():
        return
    names = _names_in(out)
    if names and not (out / MARKER).is_file():
        raise UserError(f"{out} holds what afterbert did not make ({names[0]}, ...); {_CURE}")


def check_file(path: Path, *, mark: str, overwrite: bool = False) -> None:
    """Raises UserError where `path` may not be written, or something stands there that is no regular file, or does not
    have `mark` in its first 4 kB; with `overwrite` any regular file passes."""
    check_writable(path)
    if not os.path.lexists(path):
        return
    if path.is_symlink() and not overwrite:
        raise UserError(f"{path} is a link to {os.readlink(path)}; {_CURE}")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no regular file; name another place")
    if overwrite or not path.is_file():
        return
    with open(path, "rb") as file:
        found = file.read(_FIRST_BYTES)
    if found and mark.encode() not in found:
        raise UserError(f"{path} is not a file that afterbert made; {_CURE}")


def check_writable(path: Path) -> None:
    """Raises UserError if the nearest folder that is there does not let this user write."""
    folder = next(one for one in (path, *path.absolute().parents) if os.path.isdir(one))
    if not may(folder, os.W_OK):
        raise UserError(f"{path} cannot be written ({os.strerror(errno.EACCES)}); name another place")


def aside_of(out: Path) -> Path:
    """Names a place beside `out` to write to first. What killed processes left there for `out` is removed."""
    for left in out.parent.glob(f".tmp-*-{glob.escape(out.name)}"):
        number = left.name.split("-")[1]
        if number.isdigit() and (int(number) == os.getpid() or not Path("/proc", number).exists()):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return out.parent / f".tmp-{os.getpid()}-{out.name}"


def _names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name != MARKER)


def _mark(folder: Path, made_by: str, names: list[str]) -> None:
    said = {"made_by": f"afterbert {made_by}", "names": names}
    write_atomically(folder / MARKER, json.dumps(said, indent=1, ensure_ascii=False) + "\n")


def _ours(folder: Path) -> set[str]:
    """The names in a folder that its marker says we wrote."""
    found: Any = read_json_object(folder / MARKER)["names"] if (folder / MARKER).is_file() else []
    return {name for name in found if isinstance(name, str) and name == os.path.basename(name)}


def _move_in(aside: Path, out: Path, made_by: str, overwrite: bool) -> None:
    new = _names_in(aside)
    _mark(aside, made_by, new)
    if not out.exists():
        os.rename(aside, out)
        return
    ours = _ours(out)
    for name in new:
        if os.path.lexists(out / name) and name not in ours and not overwrite:
            raise UserError(f"{out / name} is not a file that afterbert made; {_CURE}")
    replaced = aside / f"{MARKER}.replaced"
    replaced.mkdir()
    for name in sorted(ours | set(new)):
        if os.path.lexists(out / name):
            os.rename(out / name, replaced / name)
        if name in new:
            os.rename(aside / name, out / name)
    os.rename(aside / MARKER, out / MARKER)
