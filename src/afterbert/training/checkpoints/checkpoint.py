"""Checkpoints on disk: whole or absent, verified by digest, the newest good one found by looking.

`step-000500/` holds safetensors files, `state.json`, and `MANIFEST.json` (size and sha256 of each file, format version,
its own digest), written last. Everything is written into `.tmp-...`, synced, verified and renamed; what must go is
first renamed to `.del-...`, what is damaged to `.bad-...`. So a kill at any point leaves whole checkpoints and rubbish
with a dot. The digests protect against accident, not against someone who can rewrite the manifest too.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from afterbert.base.errors import UserError
from afterbert.base.runs import make_durable
from afterbert.training.checkpoints import tensor_file
from afterbert.training.checkpoints.manifest import STATE, why_bad
from afterbert.training.checkpoints.writing import TENSORS, CheckpointWriter, Tensors
from afterbert.training.distribution.processes import Processes, SingleProcess

_STEP = re.compile(r"step-(\d{6,})")


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
        """Returns the tensors of one file, given by its name without ending; empty if there is no such file. What
        several processes wrote in pieces is read in the shards of `like`, or whole without it."""
        path = self.path / (name + TENSORS)
        if path.exists():
            return tensor_file.read(path)
        if not (self.path / name).is_dir():
            return {}
        from afterbert.training.checkpoints import sharded_file  # imports much that few runs need

        return sharded_file.read(self.path / name, like)


class Checkpoints:
    """The folder of a run's checkpoints, which one process writes under the run's lock. Of several processes each
    writes its own files into a checkpoint, and process 0 does all else."""

    def __init__(self, folder: Path, *, keep: int, processes: Processes | None = None):
        assert keep > 0
        self.folder, self._keep, self._processes = folder, keep, processes or SingleProcess()
        self._writer = CheckpointWriter(folder, self._processes)

    def save(self, step: int, files: Mapping[str, Tensors], state: Mapping[str, Any]) -> Saved:
        """Writes this process's `files` (name without ending -> tensors) and process 0's `state`, verifies, and then
        forgets all but the newest `keep`.

        Raises SaveError if the disk is full; RuntimeError when the disk gives back other bytes than were written.
        """
        saved = self.at(step)
        if self._processes.on_rank_zero(lambda: saved.path.exists() and why_bad(saved.path) is None):
            return saved  # stopped again at the step it had resumed from
        beside = self._writer.write(saved.path.name, files, state)
        self._processes.on_rank_zero(lambda: self._put_in_place(saved, beside))
        return saved

    def at(self, step: int) -> Saved:
        """Returns the checkpoint of a step, whether it exists yet or not."""
        return Saved(self.folder / f"step-{step:06d}", step)

    def _put_in_place(self, saved: Saved, beside: Path) -> None:
        self._writer.crash_point("before rename")
        if saved.path.exists():
            self._set_aside(saved.path)
        os.rename(beside, saved.path)
        make_durable(self.folder)
        self._writer.crash_point("before purge")
        for step, path in sorted(self._found().items(), reverse=True)[self._keep :]:
            self.forget(Saved(path, step))

    def rehearse(self, files: Mapping[str, Tensors], state: Mapping[str, Any]) -> None:
        """Writes and verifies a checkpoint of full size and removes it again. Raises as `save`."""
        beside = self._writer.write("rehearsal", files, state)
        self._processes.on_rank_zero(lambda: shutil.rmtree(beside))

    def latest(self) -> tuple[Saved | None, list[str]]:
        """Returns the newest checkpoint that verifies, or None if none was ever made, and a note for each damaged one
        that was set aside.

        Raises UserError when every checkpoint is damaged, or when one was made by a newer version.
        """
        step, notes = self._processes.on_rank_zero(self._newest)
        return None if step is None else self.at(step), notes

    def _newest(self) -> tuple[int | None, list[str]]:
        notes: list[str] = []
        for step, path in sorted(self._found().items(), reverse=True):
            why = why_bad(path)
            if why is None:
                return step, notes
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

    def forget_start(self) -> None:
        """Removes the checkpoint of step 0 if there is a later one."""
        found = self._found()
        if 0 in found and len(found) > 1:
            self.forget(Saved(found[0], 0))

    def sweep(self) -> None:
        """Removes what a killed process left half written or half deleted. Only under the run's lock."""
        for pattern in (".tmp-*", ".del-*"):
            for left in self.folder.glob(pattern):
                shutil.rmtree(left)

    def _found(self) -> dict[int, Path]:
        named = {path: _STEP.fullmatch(path.name) for path in self.folder.iterdir()}
        return {int(match[1]): path for path, match in named.items() if match}

    def _set_aside(self, path: Path) -> Path:
        number = len(list(self.folder.glob(f".bad-{path.name}*")))
        aside = path.with_name(f".bad-{path.name}" + (f"-{number}" if number else ""))
        os.rename(path, aside)
        return aside
