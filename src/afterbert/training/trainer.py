"""The way in: `train` runs an objective until its budget is spent, from the newest checkpoint where there is one."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any

import torch

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.averaging import RunningAverage
from afterbert.training.checkpoints.checkpoint import Checkpoints
from afterbert.training.checkpoints.checkpointing import Checkpointing
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.config import Training
from afterbert.training.devices import device_of
from afterbert.training.distribution.parallel import Parallel, Replicas, Single
from afterbert.training.distribution.processes import Processes, ProcessLost, SingleProcess
from afterbert.training.feed import Feed
from afterbert.training.interrupts import Interrupts
from afterbert.training.live_run import Evaluate, LiveRun
from afterbert.training.log import RunLog
from afterbert.training.loop import Outcome, run_to_end
from afterbert.training.observers import Observer


def train(
    run: RunFolder,
    module: ObjectiveModule,
    feed: Feed,
    training: Training,
    *,
    identity: RunIdentity,
    evaluate: Evaluate | None = None,
    observers: Sequence[Observer] = (),
    flops_per_step: float | None = None,
    allow_changes: bool = False,
    processes: Processes | None = None,
    notes: Sequence[str] = (),
    check_data: Callable[[], None] | None = None,
) -> Outcome:
    """Trains `module` where it is until its budget is spent; from the newest checkpoint of `run` if there is one.

    evaluate: (module in eval mode, step) -> figures. It is called without gradients and cannot disturb the generators
    or the carried state; a signal breaks it off, and the resumed run calls it again. The last call is at the end.
    notes: said and logged before anything else. allow_changes: resume although the recipe differs from the one the run
    was begun with. check_data: called before anything that was learned is kept; it raises UserError where the rows that
    are read are not to be relied on.

    SIGTERM or Ctrl-C: the step is finished, a checkpoint saved, the outcome is "preempted"; that takes one step and one
    save. A second signal ends the process at once.

    Several processes call it alike, with the same arguments and the same fresh weights; only process 0 writes, beside
    its share of a checkpoint, and calls observers. With `training.parallel` "fsdp" the module is left in shards, see
    `snapshot.whole_weights`. A module whose run is finished has the weights that `training.average` names.

    Raises UserError (among them Diverged and SaveError) for what the user can mend; the status then says "failed".
    """
    device, processes = device_of(module), processes or SingleProcess()
    sizes = training.batch_sizes.sizes
    if processes.size > min(sizes):
        raise UserError(
            f"batch_size {training.batch_size} is less than one row for each of {processes.size} processes; "
            "start fewer, or take a larger batch"
        )
    if module.compares_rows and (processes.size > 1 or training.rows_at_once < max(sizes)):
        raise UserError(
            "this objective compares the rows of a batch with each other, so a batch cannot be divided; take one "
            "process and leave out training.micro_batch_size, or take a smaller batch_size"
        )
    with ExitStack() as stack:
        note = processes.on_rank_zero(lambda: stack.enter_context(run.locked()))
        interrupts = stack.enter_context(Interrupts())
        stack.enter_context(_repeatable(device, training))
        stack.enter_context(_failure_told(run, processes))
        if training.compile:
            # of any shape from the start: a resumed run must not meet other kernels than an unbroken one
            module.backbone.compile(dynamic=True)
        parallel = _parallel(module, training, device, processes)
        trackers = [training.track.observer(run.path)] if training.track and processes.leads else []
        optimizer = training.optimizer.build(module)
        average = RunningAverage(module, training.average)
        checkpoints = Checkpoints(run.checkpoints, keep=training.keep_checkpoints, processes=processes)
        live = LiveRun(
            run=run,
            optimizer=optimizer,
            average=average,
            feed=feed,
            training=training,
            checkpointing=Checkpointing(
                checkpoints, module, optimizer, average, feed, identity, training.seed, device, processes
            ),
            log=RunLog(run if processes.leads else None, (*observers, *trackers)),
            evaluate=evaluate,
            flops_per_step=flops_per_step,
            device=device,
            parallel=parallel,
            processes=processes,
            interrupts=interrupts,
            check_data=check_data,
        )
        return run_to_end(live, [*([note] if note else []), *notes], allow_changes=allow_changes)


@contextmanager
def _failure_told(run: RunFolder, processes: Processes) -> Iterator[None]:
    """Inside, an error leaves the run marked as failed; where another process was lost, the error says which and how
    to go on."""
    try:
        yield
    except BaseException as error:
        lost = processes.lost(error)
        said = lost or error
        if processes.leads:
            with suppress(OSError):  # the folder may be what was lost
                run.report(state="failed", message=str(said) or type(said).__name__)
        if lost is None:
            raise
        raise ProcessLost(
            *lost.lines, f"the newest checkpoint is whole: start again with --resume {run.path}"
        ) from error


def _parallel(module: ObjectiveModule, training: Training, device: torch.device, processes: Processes) -> Parallel:
    if processes.size == 1:
        return Single(module)
    if training.parallel == "ddp":
        return Replicas(module)
    from afterbert.training.distribution.shards import Shards  # imports much that few runs need

    return Shards(module, device=device, processes=processes)


@contextmanager
def _repeatable(device: torch.device, training: Training) -> Iterator[None]:
    """Inside, only kernels that repeat exactly: on CPU always (its one exception adds atomically), else where asked
    for."""
    if device.type != "cpu" and not training.deterministic:
        yield
        return
    before = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")
    memory.fill_uninitialized_memory = False  # costs time, and only finds bugs of kernels
    try:
        with _compiled_alike() if training.compile else nullcontext():
            yield
    finally:
        torch.set_deterministic_debug_mode(before)
        memory.fill_uninitialized_memory = fills


def _compiled_alike() -> AbstractContextManager:
    """Inside, torch.compile chooses among kernels by rules and not by the clock."""
    from torch._inductor import config  # imports much that few runs need

    return config.patch(deterministic=True)
