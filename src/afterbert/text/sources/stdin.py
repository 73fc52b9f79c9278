"""Standard input, put aside in a temporary file first, so that it can be read in parts and again like any
other file."""

import atexit
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache

from afterbert.base.errors import UserError
from afterbert.text.files import streams
from afterbert.text.sources import Source, SourcePart
from afterbert.text.sources._making import Option, make


@dataclass(frozen=True)
class Stdin(Source):
    """Text that is piped in, not packed; as long as the process lives."""

    path: str = "-"
    kind: str = "txt"
    """`txt`, `jsonl`, `csv` or `tsv`."""
    options: dict[str, Option] = field(default_factory=dict)
    """Options for that kind."""

    def parts(self, target_bytes: int) -> list[SourcePart]:
        return self._file().parts(target_bytes)

    def digest(self) -> dict[str, str]:
        return self._file().digest()

    def _file(self) -> Source:
        return make(self.kind, _put_aside(), self.options, name="stdin")


@cache
def _put_aside() -> str:
    """The path of a private file called `stdin` with all of standard input; removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="afterbert-")
    atexit.register(_remove, folder, os.getpid())
    path = os.path.join(folder, "stdin")
    try:
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, streams.CHUNK_BYTES)
    except OSError as error:
        raise UserError(
            f"standard input cannot be put aside in {streams.shown(folder)}: {error.strerror}; set TMPDIR to a folder "
            "with more space"
        ) from None
    return path


def _remove(folder: str, owner: int) -> None:
    # A forked worker inherits the registration, but the file is not its own.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
