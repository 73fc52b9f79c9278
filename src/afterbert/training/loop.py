"""The loop: step, log, evaluate, save; stop anywhere and go on as if nothing had happened.

Nothing that touches the weights reads the clock, except once: a budget in time becomes a number of steps when
the run begins.
"""

import signal
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from afterbert.training.beginning import begin_or_resume
from afterbert.training.feed import Prefetch
from afterbert.training.guards import judge
from afterbert.training.live_run import LiveRun
from afterbert.training.run_length import RunLength


@dataclass(frozen=True)
class Outcome:
    """The way a run ended.

    total_steps: None if a signal came before the length was known; signal: what stopped a preempted run; evaluation:
    the last figures; enough: why it ended before its budget was spent.
    """

    state: Literal["finished", "preempted"]
    step: int
    total_steps: int | None
    signal: int | None = None
    evaluation: Mapping[str, float] | None = None
    enough: str = ""

    @property
    def exit_code(self) -> int:
        """0, or as shells report a signal: 143 after SIGTERM, 130 after Ctrl-C."""
        return 0 if self.signal is None else 128 + self.signal


def run_to_end(live: LiveRun, notes: list[str], *, allow_changes: bool) -> Outcome:
    """Begins or resumes, and trains until the budget is spent or a signal comes."""
    begin_or_resume(live, notes, allow_changes=allow_changes)
    if live.length is not None:  # else a signal came first
        stages = live.feed.lasts(live.length.total_steps)  # which also sets where they begin
        stages += live.average.told(live.length.total_steps)
        for text in stages if live.progress.step == 0 else ():
            live.note(text)
        _train(live, live.length)
    return _ended(live)


def _train(live: LiveRun, length: RunLength) -> None:
    """Steps until the budget is spent or a signal comes; then a checkpoint."""
    evaluate_every = length.every(live.training.evaluate_every)
    saves = live.training.checkpoint_every
    save_every = None if saves.unit == "seconds" else length.every(saves)
    live.status("training")
    live.log.started(step=live.progress.step, total_steps=length.total_steps)
    live.evaluate_if_due()
    live.clock.trains(tokens=live.progress.tokens)
    with closing(live.prefetch()) as ahead:
        while _unfinished(live, length) and not live.must_stop():
            live.status("training")
            before = live.progress.step
            _step(live, ahead, length)
            step = live.progress.step
            ends = step == length.total_steps or (evaluate_every and step % evaluate_every == 0)
            if ends and step > before:  # else gone back to where all this was done
                live.progress.evaluation_due = live.evaluate is not None
            live.evaluate_if_due()
            if live.processes.any(step % save_every == 0 if save_every else live.clock.since_save >= saves.amount):
                live.save()
    signum = live.signal()
    if signum is not None and _unfinished(live, length):
        name, took = signal.Signals(signum).name, live.clock.last_save.seconds
        live.note(f"{name}: saving step {live.progress.step}, which last took {took:.1f} s; once more ends at once")
    live.save()


def _unfinished(live: LiveRun, length: RunLength) -> bool:
    if live.progress.enough:
        return False
    return live.progress.step < length.total_steps or live.progress.evaluation_due


def _step(live: LiveRun, ahead: Prefetch, length: RunLength) -> None:
    """One step of the run: an update, or none when the rules say so."""
    carried = live.module.carried_state()
    found = live.gradient(ahead, step=live.progress.data_step)
    verdict = judge(found, live.progress, live.training, live.module, live.run.diagnosis, processes=live.processes)
    if verdict.why:
        live.note(verdict.why, kind=verdict.kind, step=live.progress.step + 1, loss=found.gradient.total)
    if verdict.do == "rewind":
        _rewind(live)
        return
    if verdict.do == "update":
        live.stepper.update(found.gradient, live.factor(length.total_steps))
        live.progress.learned(found.gradient.losses, found.gradient.total)
    else:
        live.module.load_carried_state(carried)
    live.optimizer.zero_grad(set_to_none=True)
    live.average.follow(live.progress.step, length.total_steps)
    live.progress.step += 1
    live.progress.tokens += found.gradient.num_tokens
    live.progress.empty += not any(found.gradient.counts.values())
    if live.progress.step % live.training.log_every == 0 or live.progress.step == length.total_steps:
        _log(live, found.gradient.norm, length)


def _rewind(live: LiveRun) -> None:
    """Back to the newest checkpoint, and past the data that led here from it."""
    bad = live.progress
    saved, damaged = live.checkpointing.checkpoints.latest()
    assert saved is not None
    live.optimizer.zero_grad(set_to_none=True)
    live.progress = live.checkpointing.restore(saved)
    live.progress.batches_passed_over = bad.data_step + 1 - saved.step
    live.progress.non_finite, live.progress.micro_batch_size = (bad.non_finite, bad.micro_batch_size)
    live.progress.evaluation_due = False  # it was made before any step from here
    live.saved_step = saved.step
    live.processes.on_rank_zero(lambda: live.run.metrics.trim(saved.step))
    live.clock.trains(tokens=live.progress.tokens)
    for text in damaged:
        live.note(text)
    live.note(f"step {bad.step + 1} was not finite; back to step {saved.step}, skipping its data", kind="rewind")


def _log(live: LiveRun, norm: float, length: RunLength) -> None:
    loss, parts = live.progress.take_means()
    if loss is None:  # all left out
        return
    factor = live.training.schedule(live.progress.step - 1, length.total_steps)
    live.log.step(
        {
            "kind": "step",
            "step": live.progress.step,
            "loss": loss,
            "parts": parts,
            "learning_rate": live.training.optimizer.learning_rate * factor,
            "grad_norm": norm,
            "tokens": live.progress.tokens,
            "tokens_per_second": live.clock.speed(tokens=live.progress.tokens),
            "seconds": live.clock.total,
            "epoch": live.feed.epoch_after(live.progress.data_step - 1),
        }
    )


def _ended(live: LiveRun) -> Outcome:
    finished = live.length is not None and not _unfinished(live, live.length)
    state: Literal["finished", "preempted"] = "finished" if finished else "preempted"
    if finished:
        live.average.put_in()
        live.processes.on_rank_zero(live.checkpointing.checkpoints.forget_start)
    live.status(state)
    signum = live.signal()
    return Outcome(
        state=state,
        step=live.progress.step,
        total_steps=live.length.total_steps if live.length else None,
        signal=None if finished else signum,
        evaluation=live.figures,
        enough=live.progress.enough,
    )
