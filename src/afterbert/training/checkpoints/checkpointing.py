"""Saves all of a run's state as checkpoints and puts it back."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
        state, rank = saved.state(), self.processes.rank
        progress, read = Progress(**state["progress"]), partial(saved.tensors, like=snapshot.placed(self.module))
        self.average.load(read("average"))
        snapshot.restore_weights(self.module, read("model"))
        of_optimizer = snapshot.OptimizerState(read("optim"), state["optimizer"])
        snapshot.restore_optimizer(self.optimizer, self.module, of_optimizer)
        shares = [read(f"carried-{other}") for other in range(state["made_with"].get("processes", 1))]
        carried = read("carried") or self._joined(shares)
        self.module.load_carried_state({name: tensor.to(self.device) for name, tensor in carried.items()})
        if states := read(f"rng-{rank}"):
            generators.Generators.unpacked(states).put_back(self.device)
        else:  # there were fewer processes
            generators.seed(self.seed, rank=rank, step=progress.step)
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

    def _joined(self, shares: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """What the processes carried, as one process would."""
        axis = self.module.slot_axis
        if axis is None or not all(shares):
            return {}
        return {name: torch.cat([share[name] for share in shares], axis) for name in shares[0]}

    def _capture(self) -> tuple[dict[str, dict[str, torch.Tensor]], dict]:
        """What this process keeps: file name -> tensors; and the optimizer's scalars for `state.json`. What all have
        alike is process 0's to keep, unless it is in shards."""
        rank, size = self.processes.rank, self.processes.size
        of_optimizer = snapshot.optimizer_state(self.optimizer, self.module)
        alike = {"model": snapshot.weights(self.module), "optim": of_optimizer.tensors}
        alike |= {"average": self.average.tensors} if self.average.tensors else {}
        files = {f"rng-{rank}": generators.Generators.now(self.device).packed()}
        files |= {name: tensors for name, tensors in alike.items() if rank == 0 or any_piece(tensors)}
        memory, axis = self.module.carried_state(), self.module.slot_axis
        if memory and axis is not None and size > 1:
            slots = self.feed.slots(rank, size)
            files[f"carried-{rank}"] = {n: one.narrow(axis, slots.start, len(slots)) for n, one in memory.items()}
        elif memory and rank == 0:
            files["carried"] = dict(memory)
        return files, of_optimizer.scalars

    def _state(self, progress: Progress, precision: Precision, scalars: dict) -> dict:
        return {
            "step": progress.step,
            "epoch": self.feed.epoch_at(progress.data_step),
            "rows": self.feed.rows_before(progress.data_step),
            "progress": asdict(progress),
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
