"""The folder of a part of the texts that is encoded: plain arrays, a file a column, whole or absent.

A part that was finished before a kill is checked and used again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from afterbert.base.runs import write_atomically
from afterbert.base.sealed import sealed

# Of documents: sections, hashes, sketches. Of sections: pieces, hashes, bytes.
_BY_DOCUMENT = {
    "documents": "<i8",
    "hashes": "<u8",
    "sections": "<i8",
    "section_hashes": "<u8",
    "sizes": "<u4",
    "sketches": "<u4",
}


def made_once(done: Path, dtype: str, make: Callable[[PartWriter], Sequence[Any]]) -> list[Any]:
    """Makes a part once, and gives what `make` reports of the part that it writes, and behind that what it warned
    of; both from before where the part lies at `done` whole. Otherwise it appears there whole or not at all."""
    if (report := finished(done)) is not None:
        return report
    shutil.rmtree(done, ignore_errors=True)
    beside = done.parent / f".tmp-{os.getpid()}-{done.name}"
    shutil.rmtree(beside, ignore_errors=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with PartWriter(beside, dtype) as writer:
            report = [*make(writer)]
    report.append(sorted({str(one.message) for one in said}))
    write_atomically(beside / "done.json", json.dumps(sealed({"report": report, "digests": writer.digests()})))
    beside.rename(done)
    return report


class PartWriter:
    """The files of one part, being written. dtype: of the pieces."""

    def __init__(self, folder: Path, dtype: str):
        folder.mkdir(parents=True)
        self._folder, self._dtype = folder, dtype
        self._files: dict[str, Any] = {}
        self._digests: dict[str, Any] = {}

    def append(self, name: str, values: np.ndarray) -> None:
        """Puts these values of a column behind those that are there."""
        if name not in self._files:
            self._files[name] = open(self._folder / name, "wb")  # noqa: SIM115  closed by __exit__
            self._digests[name] = xxhash.xxh3_64()
        raw = values.astype(column_dtype(name, self._dtype)).tobytes()
        self._files[name].write(raw)
        self._digests[name].update(raw)

    def digests(self) -> dict[str, str]:
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()


def part_folder(folder: Path, number: int) -> Path:
    """Gives the folder where the part with this number lies when it is done."""
    return folder / f"part-{number:06d}"


def column_dtype(column: str, dtype: str) -> str:
    """Returns the type of a column on disk; planes take a byte for each piece until they are merged."""
    return {"pieces": dtype, **_BY_DOCUMENT}.get(column, "u1")


def finished(folder: Path) -> list[Any] | None:
    """Returns the report of a whole part that lies there, or None."""
    try:
        done = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        if sealed(done) != done:
            return None
        for name, digest in done["digests"].items():
            with open(folder / name, "rb") as file:
                if hashlib.file_digest(file, xxhash.xxh3_64).hexdigest() != digest:
                    return None
        return list(done["report"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
