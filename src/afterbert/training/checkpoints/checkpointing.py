"""Saves all of a run's state as checkpoints and puts it back."""

import platform
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

import afterbert
from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.averaging import RunningAverage
from afterbert.training.checkpoints import generators, snapshot
from afterbert.training.checkpoints.checkpoint import Checkpoints, Saved
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.distribution.pieces import any_piece
from afterbert.training.distribution.processes import Processes
from afterbert.training.feed import Feed
from afterbert.training.precision import Precision, name_of_device
from afterbert.training.progress import Progress


@dataclass(frozen=True)
class Checkpointing:
    """Knows what a checkpoint of this run holds."""

    checkpoints: Checkpoints
    module: ObjectiveModule
    optimizer: torch.optim.Optimizer
    average: RunningAverage
    feed: Feed
    identity: RunIdentity
    seed: int
    device: torch.device
    processes: Processes

    def latest(self) -> tuple[Saved | None, list[str]]:
        """Finds the newest whole checkpoint (`Checkpoints.latest`), which process 0 asks for all."""

        def look() -> tuple[int | None, list[str]]:
            saved, notes = self.checkpoints.latest()
            return saved.step if saved else None, notes

        step, notes = self.processes.on_rank_zero(look)
        return None if step is None else self.checkpoints.at(step), notes

    def save(self, progress: Progress, precision: Precision) -> Saved:
        """Saves a checkpoint of this very state and returns it. Raises SaveError if the disk is full."""
        files, scalars = self._capture()
        return self.checkpoints.save(progress.step, files, self._state(progress, precision, scalars))

    def rehearse(self, progress: Progress, precision: Precision) -> None:
        """Writes and verifies as `save` does and leaves nothing. Raises SaveError."""
        files, scalars = self._capture()
        self.checkpoints.rehearse(files, self._state(progress, precision, scalars))

    def restore(self, saved: Saved) -> Progress:
        """Puts weights, optimizer, generators and feed back and returns the progress of that moment."""
        state = saved.state()
        progress = Progress(**state["progress"])
        self.average.load(saved.tensors("average", like=snapshot.placed(self.module)))
        has_generators = snapshot.restore(
            self.module,
            self.optimizer,
            tensors=partial(saved.tensors, like=snapshot.placed(self.module)),
            scalars=state["optimizer"],
            device=self.device,
            rank=self.processes.rank,
            size=state["made_with"].get("processes", 1),
        )
        if not has_generators:  # there were fewer processes
            generators.seed(self.seed, rank=self.processes.rank, step=progress.step)
        self.feed.epochs.recall(state["epoch_starts"])
        return progress

    def compare(self, saved: Saved, *, allow_changes: bool) -> tuple[Precision, list[str]]:
        """Returns the precision of a checkpoint, and notes on what has changed since.

        Raises UserError for what must not change.
        """
        state = saved.state()
        notes = self.identity.check(state["identity"], allow_changes=allow_changes)
        now = self._made_with()
        for name, before in state["made_with"].items():
            if name in now and now[name] != before:
                notes.append(f"{name} was {before} and is {now[name]} now: the last bits may differ")
        return Precision(state["precision"], "as the run was begun"), notes

    def is_of_another_run(self, saved: Saved) -> bool:
        """Returns whether the checkpoint was made from another recipe, other data or another tokenizer."""
        return saved.state()["identity"] != self.identity.plain()

    def _capture(self) -> tuple[dict, dict]:
        rank, size = self.processes.rank, self.processes.size
        slots = self.feed.slots(rank, size) if size > 1 else None
        files, scalars = snapshot.capture(self.module, self.optimizer, device=self.device, rank=rank, slots=slots)
        average = self.average.tensors
        if average and (rank == 0 or any_piece(average)):
            files["average"] = average
        return files, scalars

    def _state(self, progress: Progress, precision: Precision, scalars: dict) -> dict:
        row = progress.data_step * self.feed.batch_size
        return {
            "step": progress.step,
            "epoch": self.feed.epoch_at(row),
            "rows": row,
            "progress": progress.plain(),
            "epoch_starts": self.feed.epochs.known,
            "precision": precision.name,
            "optimizer": scalars,
            "identity": self.identity.plain(),
            "made_with": self._made_with(),
        }

    def _made_with(self) -> dict[str, str | int]:
        """On what the last bits depend, besides the recipe."""
        return {**_versions(), "device": name_of_device(self.device), "processes": self.processes.size}


def _versions() -> dict[str, str]:
    return {
        "afterbert": afterbert.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
    }
