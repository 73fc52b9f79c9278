"""The folder that something is prepared in: held by one process, with a place for what is done so far."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.base.sealed import digest_of

WORK = ".work"


def locked(folder: Path) -> AbstractContextManager[Any]:
    """Holds the folder, made where it is missing, for this process. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another place") from error
    return RunFolder(folder, kind="store").locked()


def work_folder(out: Path, settings: Mapping[str, Any], *, last_file: str) -> Path:
    """The folder for what is done so far; emptied when it was begun with other texts or settings. last_file:
    what is written last of all. Raises UserError when the folder belongs to somebody else."""
    work, key = out / WORK, digest_of(settings)
    others = {path.name for path in out.iterdir()} - {WORK, ".lock"}
    if others and not work.exists() and last_file not in others:
        raise UserError(f"{out} is not empty ({min(others)}, ...); name a new folder")
    if not (work / key).exists():
        shutil.rmtree(work, ignore_errors=True)
        (work / key).mkdir(parents=True)
    for left in (work / key).glob(".tmp-*"):
        shutil.rmtree(left)
    return work / key
