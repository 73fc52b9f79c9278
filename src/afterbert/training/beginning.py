"""How a run begins: anew or from a checkpoint, and with its budget turned into a number of steps, once."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from afterbert.base.errors import UserError
from afterbert.base.stages import widths
from afterbert.training import run_length
from afterbert.training.checkpoints import generators
from afterbert.training.checkpoints.checkpoint import Saved
from afterbert.training.live_run import LiveRun
from afterbert.training.precision import Precision, choose
from afterbert.training.progress import Progress
from afterbert.training.run_length import RunLength, Timing


def begin_or_resume(live: LiveRun, notes: list[str], *, allow_changes: bool) -> None:
    """Begins the run, or goes on from its newest whole checkpoint, and notes whatever is out of the ordinary. Leaves
    the run without a length where a signal came before it was known."""
    live.processes.on_rank_zero(lambda: _open(live))
    live.module.train()
    saved, damaged = live.checkpointing.checkpoints.latest()
    notes = notes + damaged
    if saved is not None and saved.step == 0 and _forgotten(live, saved):
        saved = None
    notes += _begin(live) if saved is None else _resume(live, saved, allow_changes=allow_changes)
    for text in notes:
        live.note(text)
    if live.progress.step == 0 and not _has_length(live):
        _fix_length(live)
    if live.progress.step > 0 or _has_length(live):
        live.length = RunLength.of(live.processes.on_rank_zero(lambda: _read_length(live)))


def _open(live: LiveRun) -> None:
    live.run.report(state="starting", message="", step=0, total_steps=None)
    live.checkpointing.checkpoints.sweep()


def _has_length(live: LiveRun) -> bool:
    return live.processes.on_rank_zero(live.run.course.exists)


def _forgotten(live: LiveRun, saved: Saved) -> bool:
    """Takes back the beginning of a run that has learned nothing yet, where its recipe was mended (or the data).
    Returns whether it did."""

    def forget() -> bool:
        if live.run.has_learned or not live.checkpointing.is_of_another_run(saved):
            return False
        live.run.metrics.trim(-1)
        live.run.course.unlink(missing_ok=True)
        live.checkpointing.checkpoints.forget(saved)
        return True

    return live.processes.on_rank_zero(forget)


def _begin(live: LiveRun) -> list[str]:
    """A new run, with a checkpoint of step 0."""
    if live.processes.on_rank_zero(lambda: bool(live.run.metrics.read())):
        raise UserError(
            f"run folder {live.run.path} has metrics but no checkpoint; restore its checkpoints, "
            "or delete the folder to start anew"
        )
    generators.seed(live.training.seed, rank=live.processes.rank)
    chosen = live.processes.on_rank_zero(lambda: asdict(choose(live.training.precision, live.device)))
    live.set_precision(Precision(**chosen))
    live.progress = Progress(live.training.rows_at_once, live.training.rows_at_once)
    live.progress.evaluation_due = live.evaluate is not None and (
        live.training.evaluate_every is not None or run_length.needs_timing(live.training)
    )
    live.save()
    return [f"precision {live.precision.name}: {live.precision.reason}"]


def _resume(live: LiveRun, saved: Saved, *, allow_changes: bool) -> list[str]:
    """Puts everything back to where the checkpoint was made."""
    precision, notes = live.checkpointing.compare(saved, allow_changes=allow_changes)
    live.set_precision(precision)
    if live.training.compile:
        _compile_as_at_first(live)
    live.progress = live.checkpointing.restore(saved)
    if live.progress.asked_micro_batch_size != live.training.rows_at_once:
        live.progress.micro_batch_size = live.progress.asked_micro_batch_size = live.training.rows_at_once
    live.clock.resumed(seconds=live.progress.seconds)
    live.saved_step = saved.step
    live.figures = live.processes.on_rank_zero(lambda: _trimmed(live, saved.step))
    return [*notes, f"resumed from {saved.path.name}"]


def _compile_as_at_first(live: LiveRun) -> None:
    """A pass over the data of the first step, before everything is put back: kernels are fitted to the shapes that
    come first, and a resumed run must have those of an unbroken one."""
    live.progress = Progress(live.training.rows_at_once, live.training.rows_at_once)
    with closing(live.prefetch()) as ahead:
        for step in range(len(live.feed.moments)):
            live.gradient(ahead, step=step)
    live.optimizer.zero_grad(set_to_none=True)


def _trimmed(live: LiveRun, step: int) -> Mapping[str, float] | None:
    """Takes back what was said after a step; the figures of the last evaluation before."""
    comes_again = ["rewind"] + ["evaluation"] * live.progress.evaluation_due
    live.run.metrics.trim(step, without=tuple(comes_again))
    evaluations = [record["figures"] for record in live.run.metrics.read() if record["kind"] == "evaluation"]
    return evaluations[-1] if evaluations else None


def _fix_length(live: LiveRun) -> None:
    """Turns the budget into steps, after everything was tried once. Leaves the run as it was at step 0; when a
    signal comes, without a length."""
    live.status("measuring")
    step, checkpoint = _try_out(live)
    with live.clock.apart() as evaluation:
        live.evaluate_if_due()
    if live.must_stop():
        return
    timing = None
    if run_length.needs_timing(live.training):
        timing = Timing(step, evaluation.seconds, checkpoint, live.clock.here)
    live.processes.on_rank_zero(lambda: _lay_out(live, timing))


def _lay_out(live: LiveRun, timing: Timing | None) -> None:
    rates = run_length.rates_of(live.feed, flops_per_step=live.flops_per_step, timing=timing)
    length = run_length.lay_out(live.training, rates, timing)
    length.save(live.run.course)
    if timing and (said := run_length.said_of_short(length, timing)):
        live.note(said)


def _try_out(live: LiveRun) -> tuple[float, float]:
    """Real steps and a checkpoint of full size, all undone again. Returns the seconds of a step and of a checkpoint."""
    durations: list[float] = []
    with closing(live.prefetch()) as ahead:
        while not live.must_stop() and not _timed_enough(live, durations):
            with live.clock.apart() as lap:
                found = live.gradient(ahead, step=len(durations))
                if found.gradient.is_finite:  # else the loop will meet it, and treat it by the rules
                    live.stepper.update(found.gradient, live.factor(1))
                live.optimizer.zero_grad(set_to_none=True)
            durations.append(lap.seconds)
    with live.clock.apart() as checkpoint:
        if not live.must_stop():
            live.checkpointing.rehearse(live.progress, live.precision)
    first, _ = live.checkpointing.checkpoints.latest()
    assert first is not None
    assert first.step == 0
    fits = live.progress.micro_batch_size
    live.progress = live.checkpointing.restore(first)
    live.progress.micro_batch_size = fits
    return run_length.seconds_per_step(durations, widths(live.feed.moments)), checkpoint.seconds


def _timed_enough(live: LiveRun, durations: Sequence[float]) -> bool:
    """By the clock of process 0."""
    enough = len(durations) >= len(live.feed.moments) and run_length.are_enough(durations, live.training)
    return live.processes.any(live.processes.leads and enough)


def _read_length(live: LiveRun) -> dict[str, Any]:
    """The length of this run, plain; where changes are allowed and the budget did, laid out anew from the same
    rates."""
    length = RunLength.load(live.run.course)
    if length.budget != live.training.budget:
        length = run_length.lay_out(live.training, length.rates)
        length.save(live.run.course)
    return asdict(length)
