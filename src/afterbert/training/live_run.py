"""A run in progress: its parts, where it stands, and what is done from several places of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field

import torch

from afterbert.base.runs import RunFolder, State
from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.averaging import RunningAverage
from afterbert.training.checkpoints.checkpointing import Checkpointing
from afterbert.training.checkpoints.snapshot import undisturbed
from afterbert.training.checkpoints.writing import SaveError
from afterbert.training.clock import Clock
from afterbert.training.config import Training
from afterbert.training.distribution.parallel import Parallel
from afterbert.training.distribution.processes import Processes
from afterbert.training.feed import Feed, Prefetch
from afterbert.training.interrupts import Interrupted, Interrupts
from afterbert.training.log import RunLog
from afterbert.training.observers import Enough
from afterbert.training.precision import Precision
from afterbert.training.progress import Progress
from afterbert.training.run_length import RunLength
from afterbert.training.step import Passes
from afterbert.training.stepper import Fitted, Stepper

Evaluate = Callable[[ObjectiveModule, int], Mapping[str, float]]


@dataclass(kw_only=True)
class LiveRun:
    """Everything that one call of `train` works with. `progress`, `precision` and `stepper` are there once the run is
    begun or resumed."""

    run: RunFolder
    parallel: Parallel
    optimizer: torch.optim.Optimizer
    average: RunningAverage
    feed: Feed
    training: Training
    checkpointing: Checkpointing
    log: RunLog
    evaluate: Evaluate | None
    flops_per_step: float | None
    device: torch.device
    processes: Processes
    interrupts: Interrupts
    check_data: Callable[[], None] | None = None
    """Called before a checkpoint that holds what was learned; see `train`."""
    progress: Progress = field(init=False)
    precision: Precision = field(init=False)
    stepper: Stepper = field(init=False)
    length: RunLength | None = None
    figures: Mapping[str, float] | None = None
    """The last evaluation's."""
    saved_step: int | None = None
    clock: Clock = field(default_factory=Clock)

    @property
    def module(self) -> ObjectiveModule:
        return self.parallel.module

    def set_precision(self, precision: Precision) -> None:
        self.precision = precision
        passes = Passes(self.parallel, precision, self.processes)
        self.stepper = Stepper(passes, self.optimizer, self.feed, self.training)

    def gradient(self, ahead: Prefetch, *, step: int) -> Fitted:
        """Computes the gradient of the data of `step`."""
        before = self.progress.micro_batch_size
        found = self.stepper.gradient(ahead.batches(step, before), data_step=step, micro_batch_size=before)
        self.progress.micro_batch_size = found.micro_batch_size
        if found.micro_batch_size != before:
            self.note(f"memory ran out with micro-batches of {before} rows; going on with {found.micro_batch_size}")
        return found

    def factor(self, total_steps: int) -> float:
        return self.training.schedule(self.progress.step, total_steps)

    def prefetch(self) -> Prefetch:
        return Prefetch(self.feed, workers=self.training.workers, processes=self.processes)

    def signal(self) -> int | None:
        """Returns the signal that any process received."""
        return round(self.processes.most(self.interrupts.signum or 0)) or None

    def must_stop(self) -> bool:
        return self.signal() is not None

    def evaluate_if_due(self) -> None:
        """Evaluates; broken off by a signal it stays due."""
        if not self.progress.evaluation_due:
            return
        assert self.evaluate is not None
        self.status("evaluating")
        figures: dict[str, float] | None = None
        with self.clock.apart() as lap:
            with (
                suppress(Interrupted),
                undisturbed(self.module, self.device),
                self.average.in_place(),
                self._breaking(),
            ):
                found = self.evaluate(self.module, self.progress.step)
                figures = {name: float(value) for name, value in found.items()}
            self.parallel.settle()
        if self.processes.any(figures is None):
            return
        self.progress.evaluation_due = False
        self.figures = figures
        step, enough = self.progress.step, ""
        record = {"kind": "evaluation", "step": step, "figures": figures, "seconds": lap.seconds}
        try:
            self.log.evaluation(record)
        except Enough as why:
            enough = str(why)
        self.progress.enough = next(filter(None, self.processes.gathered(enough)), "")
        if self.progress.enough:
            self.note(f"stopped early: {self.progress.enough}")

    def _breaking(self) -> AbstractContextManager:
        """Inside, a signal breaks work off, unless other processes would wait for this one in its midst."""
        return nullcontext() if self.parallel.meets_in_passes else self.interrupts.breaking()

    def save(self) -> None:
        """Saves a checkpoint of this step unless there is one. Raises SaveError if the disk is full and the rules say
        "stop", and whatever `check_data` raises."""
        if self.saved_step == self.progress.step:
            return
        if self.check_data is not None and self.progress.step > 0:
            self.check_data()
        self.status("saving")
        self.progress.seconds = self.clock.total
        self.processes.on_rank_zero(self.run.metrics.sync)
        with self.clock.saves():
            try:
                saved = self.checkpointing.save(self.progress, self.precision)
            except SaveError as error:
                if self.training.on_disk_full == "stop":
                    raise
                self.note(f"no checkpoint at step {self.progress.step}: {error}", kind="save_failed")
            else:
                self.saved_step = saved.step
                self.log.checkpoint(step=saved.step, path=saved.path)

    def status(self, state: State) -> None:
        total = self.length.total_steps if self.length else None
        self.log.status(state, step=self.progress.step, total_steps=total)

    def note(self, text: str, *, kind: str = "note", step: int | None = None, **facts: float) -> None:
        self.log.note(text, kind=kind, step=self.progress.step if step is None else step, **facts)
