"""Finding out whether the files of a store are still those that were written, while work on them begins."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError
from afterbert.text.token_store.array_files import check

_BULK = ("pieces.bin", "planes")  # the rest, which decides where in them to read, is compared at once


class Verification:
    """Compares the files of a store, each with its record, once. Ids and planes are read by a thread, which runs at
    the speed of disk or memory beside the first steps."""

    def __init__(self, folder: Path, files: Mapping[str, Mapping[str, Any]], *, others: Sequence[Verification] = ()):
        self._folder, self._files, self._others = folder, files, others
        self._thread: threading.Thread | None = None
        self._damage: UserError | None = None

    def begin(self, *, wait: bool = False) -> None:
        """Compares sizes, ends, and the whole of the small files; then starts the thread for the others, and waits for
        it where asked to. Raises UserError."""
        bulk: dict[str, Mapping[str, Any]] = {}
        for name, record in self._files.items():
            is_bulk = any(part in _BULK for part in name.split("/"))
            bulk |= {name: record} if is_bulk else {}
            check(self._folder / name, record, whole=not is_bulk)
        self._thread = threading.Thread(target=self._read, args=(bulk,), name="verify", daemon=True)
        self._thread.start()
        if wait:
            self.wait()

    def wait(self) -> None:
        """Returns when all files, also those of the `others`, were found as they were written. Raises UserError that
        names the first which was not."""
        for other in self._others:
            other.wait()
        if self._thread is None:
            self.begin()
        assert self._thread is not None
        self._thread.join()
        if self._damage is not None:
            raise UserError(*self._damage.lines)

    @contextmanager
    def explains(self) -> Iterator[None]:
        """Reports an error inside the block as the damage that caused it, if any: foreign ids may break anything."""
        try:
            yield
        except Exception:
            self.wait()
            raise

    def _read(self, files: Mapping[str, Mapping[str, Any]]) -> None:
        try:
            for name, record in files.items():
                check(self._folder / name, record, whole=True)
        except UserError as error:
            self._damage = error
