"""Checkpoints on disk: whole or absent, verified by digest, the newest good one found by looking.

`step-000500/` holds safetensors files, `state.json`, and `MANIFEST.json` (size and sha256 of each file,
format version, its own digest), written last. Everything is written into `.tmp-...`, synced, verified and
renamed; what must go is first renamed to `.del-...`, what is damaged to `.bad-...`. So a kill at any point
leaves whole checkpoints and rubbish with a dot. The digests protect against accident, not against someone
who can rewrite the manifest too.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from afterbert.base.errors import UserError
from afterbert.base.runs import sync_folder
from afterbert.training.checkpoints import tensor_file
from afterbert.training.checkpoints.tensor_file import Digest
from afterbert.training.distribution.pieces import any_piece, here
from afterbert.training.distribution.processes import Processes, SingleProcess

FORMAT = 1
MANIFEST, STATE = "MANIFEST.json", "state.json"

_STEP = re.compile(r"step-(\d{6,})")
_NO_SPACE = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_TENSORS = ".safetensors"
_IN_SHARDS = {"model", "optim"}  # folders where several processes wrote in pieces

Tensors = Mapping[str, torch.Tensor]


class SaveError(UserError):
    """A checkpoint could not be written for want of space; nothing of it is left, older ones are
    untouched."""


@dataclass(frozen=True)
class Saved:
    """A whole checkpoint on disk."""

    path: Path
    step: int

    def state(self) -> dict[str, Any]:
        """Reads `state.json`."""
        return json.loads((self.path / STATE).read_bytes())

    def tensors(
        self, name: str, like: Callable[[str, torch.Size], torch.Tensor | None] | None = None
    ) -> dict[str, torch.Tensor]:
        """The tensors of one file, by its name without ending; empty where there is no such file. What several
        processes wrote in pieces is read in the shards of `like`, whole without it.
        """
        path = self.path / (name + _TENSORS)
        if path.exists():
            return tensor_file.read(path)
        if not (self.path / name).is_dir():
            return {}
        from afterbert.training.checkpoints import sharded_file  # imports much that few runs need

        return sharded_file.read(self.path / name, like)


class Checkpoints:
    """The folder of a run's checkpoints, which one process writes under the run's lock. Of several processes each
    writes its own files into a checkpoint, and process 0 does all else.
    """

    def __init__(self, folder: Path, *, keep: int, processes: Processes | None = None):
        assert keep > 0
        self.folder, self._keep, self._processes = folder, keep, processes or SingleProcess()
        self._writes = 0  # by this object, rehearsals included

    def save(self, step: int, files: Mapping[str, Tensors], state: Mapping[str, Any]) -> Saved:
        """Writes this process's `files` (name without ending -> tensors) and process 0's `state`, verifies,
        and then forgets all but the newest `keep`.

        Raises SaveError when the disk is full; RuntimeError when the disk gives back other bytes than were
        written.
        """
        saved = self.at(step)
        if self._processes.on_rank_zero(lambda: saved.path.exists() and why_bad(saved.path) is None):
            return saved  # stopped again at the step it had resumed from
        beside = self._write(saved.path.name, files, state)
        self._processes.on_rank_zero(lambda: self._put_in_place(saved, beside))
        return saved

    def at(self, step: int) -> Saved:
        """The checkpoint of a step, made or yet to be made."""
        return Saved(self.folder / f"step-{step:06d}", step)

    def _put_in_place(self, saved: Saved, beside: Path) -> None:
        self._crash_point("before rename")
        if saved.path.exists():
            self._set_aside(saved.path)
        os.rename(beside, saved.path)
        sync_folder(self.folder)
        self._crash_point("before purge")
        self._purge()

    def rehearse(self, files: Mapping[str, Tensors], state: Mapping[str, Any]) -> int:
        """Writes and verifies a checkpoint of full size and removes it again. Returns its bytes; raises as
        `save`."""
        beside = self._write("rehearsal", files, state)

        def remove() -> int:
            size = sum(entry.stat().st_size for entry in beside.rglob("*") if entry.is_file())
            shutil.rmtree(beside)
            return size

        return self._processes.on_rank_zero(remove)

    def latest(self) -> tuple[Saved | None, list[str]]:
        """The newest checkpoint that verifies, None where none was ever made, and a note for each damaged
        one set aside.

        Raises UserError when every checkpoint is damaged, or when one was made by a newer version.
        """
        notes: list[str] = []
        for step, path in sorted(self._found().items(), reverse=True):
            why = why_bad(path)
            if why is None:
                return Saved(path, step), notes
            aside = self._set_aside(path)
            notes.append(f"checkpoint {path.name} is damaged ({why}); set aside as {aside.name}")
        damaged = sorted(entry.name for entry in self.folder.glob(".bad-*"))
        if damaged:
            raise UserError(
                *notes,
                f"no whole checkpoint is left in {self.folder} ({', '.join(damaged)}); "
                "restore one from a backup, or delete the run folder to start anew",
            )
        return None, notes

    def forget(self, saved: Saved) -> None:
        """Removes a checkpoint."""
        gone = saved.path.with_name(f".del-{saved.path.name}")
        os.rename(saved.path, gone)
        shutil.rmtree(gone)

    def sweep(self) -> None:
        """Removes what a killed process left half written or half deleted. Only under the run's lock."""
        for pattern in (".tmp-*", ".del-*"):
            for left in self.folder.glob(pattern):
                shutil.rmtree(left)

    def _found(self) -> dict[int, Path]:
        named = {path: _STEP.fullmatch(path.name) for path in self.folder.iterdir()}
        return {int(match[1]): path for path, match in named.items() if match}

    def _write(self, name: str, files: Mapping[str, Tensors], state: Mapping[str, Any]) -> Path:
        """A whole, synced and verified checkpoint beside the others, not yet in its place."""
        self._writes += 1
        own = sum(_bytes(tensors) for tensors in files.values())
        needed = round(self._processes.total([own])[0])
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
        all_digests = {
            n: Digest(**d) for own in self._processes.gathered(_plain(digests)) for n, d in own.items()
        }
        self._processes.on_rank_zero(lambda: self._seal(beside, all_digests, state, needed))
        return beside

    def _begin(self, name: str, needed: int) -> str:
        """The name of a new folder to write into."""
        self._check_space(needed)
        beside = self.folder / f".tmp-{name}-{os.getpid()}"
        self._crash_point("before write")
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
            midway = (lambda: self._crash_point("mid file")) if number == 0 else None
            digests[name + _TENSORS] = tensor_file.write(folder / (name + _TENSORS), tensors, midway=midway)
        return digests

    def _agree(self, failed: OSError | None, beside: Path, needed: int) -> None:
        """Raises in all processes what failed in any."""
        whys = [
            why for why in self._processes.gathered(None if failed is None else list(failed.args[:2])) if why
        ]
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
            self._crash_point("before manifest")
            tensor_file.write_chunks(beside / MANIFEST, [_manifest(FORMAT, digests)])
            sync_folder(beside)
            why = why_bad(beside)
        except BaseException as error:
            shutil.rmtree(beside, ignore_errors=True)
            if isinstance(error, OSError):
                raise self._explained(error, needed) from error
            raise
        if why is not None:
            shutil.rmtree(beside, ignore_errors=True)
            raise RuntimeError(f"the disk does not give back what was written to it: {beside.name}, {why}")

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise self._too_small(needed, "disk full")

    def _explained(self, error: OSError, needed: int) -> OSError | SaveError:
        """The error itself, or what it says about the space on the disk."""
        return self._too_small(needed, error.strerror or "disk full") if error.errno in _NO_SPACE else error

    def _too_small(self, needed: int, what: str) -> SaveError:
        free = shutil.disk_usage(self.folder).free
        return SaveError(
            f"a checkpoint needs {needed:,} bytes, {free:,} are free in {self.folder} ({what}); "
            "free some space and resume, or write the run elsewhere"
        )

    def _set_aside(self, path: Path) -> Path:
        number = len(list(self.folder.glob(f".bad-{path.name}*")))
        aside = path.with_name(f".bad-{path.name}" + (f"-{number}" if number else ""))
        os.rename(path, aside)
        return aside

    def _purge(self) -> None:
        """Forgets all but the newest; called when the newest is whole and in its place."""
        for step, path in sorted(self._found().items(), reverse=True)[self._keep :]:
            self.forget(Saved(path, step))

    def _crash_point(self, name: str) -> None:
        """Where tests ask this process to die: AFTERBERT_TEST_CRASH_AT=save:<number of the write>:<point>."""
        if os.environ.get("AFTERBERT_TEST_CRASH_AT") == f"save:{self._writes}:{name}":
            os.kill(os.getpid(), signal.SIGKILL)


def why_bad(path: Path) -> str | None:
    """Tells what is wrong with a checkpoint folder, in words; None when it is whole.

    Raises UserError for a whole one in a newer format: it is not damaged, but only a newer version can read
    it.
    """
    if path.is_symlink() or not path.is_dir():
        return "not a folder"
    entries = _entries(path)
    for name, entry in entries.items():
        if entry.is_symlink() or not entry.is_file():
            return f"{name} is not a plain file"
    if MANIFEST not in entries:
        return f"{MANIFEST} is missing"
    body = _read_manifest(entries.pop(MANIFEST).read_bytes())
    if body is None:
        return f"{MANIFEST} is damaged"
    version = body["format"]
    if version > FORMAT:
        raise UserError(
            f"checkpoint {path} was made by a newer version (format {version}; this one reads {FORMAT}); "
            "update afterbert"
        )
    files = {name: Digest(**entry) for name, entry in body["files"].items()}
    for name in sorted(files.keys() | entries.keys()):
        if name not in entries:
            return f"{name} is missing"
        if name not in files:
            return f"{name} does not belong there"
        size = entries[name].stat().st_size
        if size != files[name].size:
            return f"{name} has {size:,} bytes, expected {files[name].size:,}"
        if tensor_file.digest(entries[name]) != files[name]:
            return f"{name} has other contents than were saved"
    return None


def _bytes(tensors: Tensors) -> int:
    """What this process will write of them, about."""
    return tensor_file.size_of({name: here(tensor) for name, tensor in tensors.items()})


def _entries(path: Path) -> dict[str, Path]:
    """Name -> file, those in the folders of sharded tensors included."""
    entries = {entry.name: entry for entry in path.iterdir()}
    for name in _IN_SHARDS & entries.keys():
        if entries[name].is_dir() and not entries[name].is_symlink():
            entries |= {f"{name}/{entry.name}": entry for entry in entries.pop(name).iterdir()}
    return entries


def _plain(digests: Mapping[str, Digest]) -> dict[str, dict[str, Any]]:
    return {name: asdict(digest) for name, digest in digests.items()}


def _manifest(version: int, digests: Mapping[str, Digest]) -> bytes:
    """The manifest's bytes; its last line is the digest of all before it."""
    body = {"format": version, "files": {name: asdict(digests[name]) for name in sorted(digests)}}
    text = json.dumps(body, indent=1).encode() + b"\n"
    return text + hashlib.sha256(text).hexdigest().encode() + b"\n"


def _read_manifest(raw: bytes) -> dict[str, Any] | None:
    """Format version and digests as written; None when a single bit is not as it was."""
    text, own = raw[:-65], raw[-65:]
    if own != hashlib.sha256(text).hexdigest().encode() + b"\n":
        return None
    return json.loads(text)
