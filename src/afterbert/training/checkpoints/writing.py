"""Writing a checkpoint beside the others: several processes each their files, one what makes them whole."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from afterbert.base.errors import UserError
from afterbert.base.runs import make_durable
from afterbert.training.checkpoints import tensor_file
from afterbert.training.checkpoints.manifest import FORMAT, MANIFEST, STATE, manifest_of, why_bad
from afterbert.training.checkpoints.tensor_file import Digest
from afterbert.training.distribution.pieces import any_piece, here
from afterbert.training.distribution.processes import Processes

TENSORS = ".safetensors"
_NO_SPACE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}

Tensors = Mapping[str, torch.Tensor]


class SaveError(UserError):
    """A checkpoint could not be written for want of space; nothing of it is left, older ones are untouched."""


class CheckpointWriter:
    """Writes whole, synced and verified checkpoints into one folder, under names that begin with a dot."""

    def __init__(self, folder: Path, processes: Processes):
        self.folder, self._processes = folder, processes
        self._writes = 0  # by this object, rehearsals included

    def write(self, name: str, files: Mapping[str, Tensors], state: Mapping[str, Any]) -> Path:
        """Returns a whole, synced and verified checkpoint beside the others, not yet in its place."""
        self._writes += 1
        own = ({key: here(tensor) for key, tensor in tensors.items()} for tensors in files.values())
        needed = round(self._processes.total([sum(map(tensor_file.size_of, own))])[0])
        beside = self.folder / self._processes.on_rank_zero(lambda: self._begin(name, needed))
        failed, digests = None, {}
        try:
            digests = self._fill(beside, files)
        except OSError as error:
            failed = error
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        self._agree(failed, beside, needed)
        plain = {name: asdict(digest) for name, digest in digests.items()}
        all_digests = {n: Digest(**d) for each in self._processes.gathered(plain) for n, d in each.items()}
        self._processes.on_rank_zero(lambda: self._seal(beside, all_digests, state, needed))
        return beside

    def _begin(self, name: str, needed: int) -> str:
        """The name of a new folder to write into."""
        if shutil.disk_usage(self.folder).free < needed:
            raise self._too_small(needed, "disk full")
        beside = self.folder / f".tmp-{name}-{os.getpid()}"
        self.crash_point("before write")
        try:
            beside.mkdir()
        except OSError as error:
            raise self._explained(error, needed) from error
        return beside.name

    def _fill(self, folder: Path, files: Mapping[str, Tensors]) -> dict[str, Digest]:
        """This process's files."""
        digests: dict[str, Digest] = {}
        for number, (name, tensors) in enumerate(files.items()):
            if any_piece(tensors):
                from afterbert.training.checkpoints import sharded_file

                written = sharded_file.write(folder / name, tensors, rank=self._processes.rank)
                digests |= {f"{name}/{shard}": digest for shard, digest in written.items()}
                continue
            midway = (lambda: self.crash_point("mid file")) if number == 0 else None
            digests[name + TENSORS] = tensor_file.write(folder / (name + TENSORS), tensors, midway=midway)
        return digests

    def _agree(self, failed: OSError | None, beside: Path, needed: int) -> None:
        """Raises in all processes what failed in any."""
        whys = [why for why in self._processes.gathered(None if failed is None else list(failed.args[:2])) if why]
        if not whys:
            return
        if self._processes.leads:
            shutil.rmtree(beside, ignore_errors=True)
        error = failed or OSError(*whys[0])
        raise self._explained(error, needed) from error

    def _seal(self, beside: Path, digests: dict[str, Digest], state: Mapping[str, Any], needed: int) -> None:
        """Writes what makes a folder of files a checkpoint, and verifies it."""
        try:
            text = json.dumps(state, indent=1, allow_nan=False).encode()
            digests[STATE] = tensor_file.write_chunks(beside / STATE, [text])
            self.crash_point("before manifest")
            tensor_file.write_chunks(beside / MANIFEST, [manifest_of(FORMAT, digests)])
            make_durable(beside)
            why = why_bad(beside)
        except BaseException as error:
            shutil.rmtree(beside, ignore_errors=True)
            if isinstance(error, OSError):
                raise self._explained(error, needed) from error
            raise
        if why is not None:
            shutil.rmtree(beside, ignore_errors=True)
            raise RuntimeError(f"the disk does not give back what was written to it: {beside.name}, {why}")

    def _explained(self, error: OSError, needed: int) -> OSError | SaveError:
        """The error itself, or what it says about the space on the disk."""
        return self._too_small(needed, error.strerror or "disk full") if error.errno in _NO_SPACE else error

    def _too_small(self, needed: int, what: str) -> SaveError:
        free = shutil.disk_usage(self.folder).free
        return SaveError(
            f"a checkpoint needs {needed:,} bytes, {free:,} are free in {self.folder} ({what}); "
            "free some space and resume, or write the run elsewhere"
        )

    def crash_point(self, name: str) -> None:
        """Ends this process where tests ask for it: AFTERBERT_TEST_CRASH_AT=save:<number of the write>:<point>."""
        if os.environ.get("AFTERBERT_TEST_CRASH_AT") == f"save:{self._writes}:{name}":
            os.kill(os.getpid(), signal.SIGKILL)
