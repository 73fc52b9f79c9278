"""The folder that something is prepared in: held by one process, with a place for what is done so far."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.base.sealed import digest_of
from afterbert.text.pieces.tokenizer import FILE as TOKENIZER_FILE
from afterbert.text.pieces.tokenizer import SETTINGS_FILE
from afterbert.text.token_store.sections import FATES
from afterbert.text.token_store.workers import WorkerLost

WORK = ".work"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder for this process. It is made where it is missing, and gone again where nothing was put into it.
    Raises UserError."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another place") from error
    try:
        with RunFolder(folder, kind="store").locked():
            yield
    finally:
        with suppress(OSError):  # of a folder that is not empty
            for path in made:
                path.rmdir()


@contextmanager
def refusing(work: Path) -> Iterator[None]:
    """Removes all work when a UserError leaves the block: the same request would be refused again."""
    try:
        yield
    except WorkerLost:
        raise
    except UserError:
        shutil.rmtree(work.parent, ignore_errors=True)
        raise


def work_folder(out: Path, settings: Mapping[str, Any], *, last_file: str, overwrite: bool = False) -> Path:
    """Returns the folder for unfinished work; it is emptied when that work was begun with other texts or settings.
    last_file: the file that is written last. Raises UserError if the folder belongs to somebody else, unless
    `overwrite`, and when files that are no store's lie in the folders that a store replaces whole."""
    work, key = out / WORK, digest_of(settings)
    others = {path.name for path in out.iterdir()} - {WORK, ".lock"}
    if others and not work.exists() and last_file not in others and not overwrite:
        raise UserError(f"{out} is not empty ({min(others)}, ...); name a new folder, or say --overwrite")
    replaced = [path for name in (*FATES, "tokenizer") for path in sorted((out / name).rglob("*")) if path.is_file()]
    for path in replaced:
        if path.suffix != ".bin" and path.name not in (TOKENIZER_FILE, SETTINGS_FILE):
            raise UserError(f"{path} is no file of a store, and would be lost; name a new folder")
    if not (work / key).exists():
        shutil.rmtree(work, ignore_errors=True)
        (work / key).mkdir(parents=True)
    for left in (work / key).glob(".tmp-*"):
        shutil.rmtree(left)
    return work / key
