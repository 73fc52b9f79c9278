"""The loop: step, log, evaluate, save; stop anywhere and go on as if nothing had happened.

Nothing that touches the weights reads the clock, except once: a budget in time becomes a number of steps when
the run begins.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder, State
from afterbert.objectives import ObjectiveModule
from afterbert.training import run_length as courses
from afterbert.training.checkpoints import generators, snapshot
from afterbert.training.checkpoints.checkpoint import Saved, SaveError
from afterbert.training.checkpoints.checkpointing import Checkpointing
from afterbert.training.clock import Clock
from afterbert.training.config import Training
from afterbert.training.distribution.parallel import Parallel
from afterbert.training.distribution.processes import Processes
from afterbert.training.feed import Feed
from afterbert.training.guards import judge
from afterbert.training.interrupts import Interrupted, Interrupts
from afterbert.training.log import RunLog
from afterbert.training.observers import Enough
from afterbert.training.precision import Precision, choose
from afterbert.training.prefetch import Prefetch
from afterbert.training.progress import Progress
from afterbert.training.run_length import RunLength, Timing
from afterbert.training.stepper import Fitted, Stepper

Evaluate = Callable[[ObjectiveModule, int], Mapping[str, float]]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    total_steps: None when a signal came before the length was known; signal: what stopped a preempted run;
    evaluation: the last figures; enough: why it ended before its budget was spent.
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


class Loop:
    """One call of `train`. `progress`, `precision` and `stepper` are there once the run is begun or
    resumed.
    """

    progress: Progress
    precision: Precision
    stepper: Stepper

    def __init__(
        self,
        *,
        run: RunFolder,
        optimizer: torch.optim.Optimizer,
        feed: Feed,
        training: Training,
        checkpointing: Checkpointing,
        log: RunLog,
        evaluate: Evaluate | None,
        flops_per_step: float | None,
        device: torch.device,
        parallel: Parallel,
        processes: Processes,
        interrupts: Interrupts,
    ):
        self.run, self.module, self.optimizer = run, parallel.module, optimizer
        self.feed, self.training, self.checkpointing, self.log = feed, training, checkpointing, log
        self.evaluate, self.flops_per_step = evaluate, flops_per_step
        self.device, self.processes, self.interrupts = device, processes, interrupts
        self.parallel = parallel
        self.course: RunLength | None = None
        self.figures: Mapping[str, float] | None = None
        self.saved_step: int | None = None
        self.clock = Clock()

    # From start to end

    def run_to_end(self, notes: list[str], *, allow_changes: bool) -> Outcome:
        """Begins or resumes, and trains until the budget is spent or a signal comes."""
        self.processes.on_rank_zero(self._open)
        self.module.train()
        saved, damaged = self.checkpointing.latest()
        notes = notes + damaged
        if saved is not None and saved.step == 0 and self._forgotten(saved):
            saved = None
        notes += self._begin() if saved is None else self._resume(saved, allow_changes=allow_changes)
        for text in notes:
            self._note(text)
        if self.progress.step == 0 and not self._has_length():
            self._fix_length()
        if self.progress.step > 0 or self._has_length():  # else a signal came first
            self.course = RunLength.of(self.processes.on_rank_zero(self._read_course))
            stages = self.feed.lasts(self.course.total_steps)
            for text in stages if self.progress.step == 0 else ():
                self._note(text)
            self._train(self.course)
        return self._ended()

    def _open(self) -> None:
        self.run.report(state="starting", message="", step=0, total_steps=None)
        self.checkpointing.checkpoints.sweep()

    def _has_length(self) -> bool:
        return self.processes.on_rank_zero(self.run.course.exists)

    def _forgotten(self, saved: Saved) -> bool:
        """Takes back the beginning of a run that has learned nothing yet, where its recipe was mended (or the
        data). Returns whether it did.
        """

        def forget() -> bool:
            learned = any(record["kind"] == "step" for record in self.run.metrics.read())
            if learned or not self.checkpointing.is_of_another_run(saved):
                return False
            self.run.metrics.trim(-1)
            self.run.course.unlink(missing_ok=True)
            self.checkpointing.checkpoints.forget(saved)
            return True

        return self.processes.on_rank_zero(forget)

    def _begin(self) -> list[str]:
        """A new run, with a checkpoint of step 0."""
        if self.processes.on_rank_zero(lambda: bool(self.run.metrics.read())):
            raise UserError(
                f"run folder {self.run.path} has metrics but no checkpoint; restore its checkpoints, "
                "or delete the folder to start anew"
            )
        generators.seed(self.training.seed, rank=self.processes.rank)
        chosen = self.processes.on_rank_zero(lambda: asdict(choose(self.training.precision, self.device)))
        self._set_precision(Precision(**chosen))
        self.progress = Progress(self._asked_micro_batch_size, self._asked_micro_batch_size)
        self.progress.evaluation_due = self.evaluate is not None and (
            self.training.evaluate_every is not None or courses.needs_timing(self.training)
        )
        self._save()
        return [f"precision {self.precision.name}: {self.precision.reason}"]

    def _resume(self, saved: Saved, *, allow_changes: bool) -> list[str]:
        """Puts everything back to where the checkpoint was made."""
        precision, notes = self.checkpointing.compare(saved, allow_changes=allow_changes)
        self._set_precision(precision)
        if self.training.compile:
            self._compile_as_at_first()
        self.progress = self.checkpointing.restore(saved)
        if self.progress.asked_micro_batch_size != self._asked_micro_batch_size:
            self.progress.micro_batch_size = self._asked_micro_batch_size
            self.progress.asked_micro_batch_size = self._asked_micro_batch_size
        self.clock.resumed(seconds=self.progress.seconds)
        self.saved_step = saved.step
        self.figures = self.processes.on_rank_zero(lambda: self._trimmed(saved.step))
        return [*notes, f"resumed from {saved.path.name}"]

    def _compile_as_at_first(self) -> None:
        """A pass over the data of the first step, before everything is put back: kernels are fitted to the shapes
        that come first, and a resumed run must have those of an unbroken one.
        """
        self.progress = Progress(self._asked_micro_batch_size, self._asked_micro_batch_size)
        with closing(self._ahead()) as ahead:
            for step in range(len(self.feed.moments)):
                self._gradient(ahead, step=step)
        self.optimizer.zero_grad(set_to_none=True)

    def _trimmed(self, step: int) -> Mapping[str, float] | None:
        """Takes back what was said after a step; the figures of the last evaluation before."""
        comes_again = ["rewind"] + ["evaluation"] * self.progress.evaluation_due
        self.run.metrics.trim(step, without=tuple(comes_again))
        evaluations = [
            record["figures"] for record in self.run.metrics.read() if record["kind"] == "evaluation"
        ]
        return evaluations[-1] if evaluations else None

    @property
    def _asked_micro_batch_size(self) -> int:
        return min(self.training.micro_batch_size or self.training.batch_size, self.training.batch_size)

    def _set_precision(self, precision: Precision) -> None:
        self.precision = precision
        self.stepper = Stepper(
            self.parallel,
            self.optimizer,
            self.feed,
            self.training,
            device=self.device,
            precision=precision,
            processes=self.processes,
        )

    def _ended(self) -> Outcome:
        finished = self.course is not None and not self._unfinished(self.course)
        state: Literal["finished", "preempted"] = "finished" if finished else "preempted"
        self._status(state)
        signum = self._signal()
        return Outcome(
            state=state,
            step=self.progress.step,
            total_steps=self.course.total_steps if self.course else None,
            signal=None if finished else signum,
            evaluation=self.figures,
            enough=self.progress.enough,
        )

    # The length

    def _fix_length(self) -> None:
        """Turns the budget into steps, after everything was tried once. Leaves the run as it was at step 0;
        when a signal comes, without a length.
        """
        self._status("measuring")
        step, checkpoint = self._try_out()
        with self.clock.apart() as evaluation:
            self._evaluate_if_due()
        if self._must_stop():
            return
        timing = None
        if courses.needs_timing(self.training):
            timing = Timing(step, evaluation.seconds, checkpoint, self.clock.here)
        self.processes.on_rank_zero(lambda: self._lay_out(timing))

    def _lay_out(self, timing: Timing | None) -> None:
        rates = courses.rates_of(self.feed, flops_per_step=self.flops_per_step, timing=timing)
        course = courses.lay_out(self.training, rates, timing)
        course.save(self.run.course)
        if timing and (said := courses.said_of_short(course, timing)):
            self._note(said)

    def _try_out(self) -> tuple[float, float]:
        """Real steps and a checkpoint of full size, all undone again. Returns the seconds of a step and of a
        checkpoint.
        """
        durations: list[float] = []
        with closing(self._ahead()) as ahead:
            while not self._must_stop() and not self._timed_enough(durations):
                with self.clock.apart() as lap:
                    found = self._gradient(ahead, step=len(durations))
                    if found.gradient.is_finite:  # else the loop will meet it, and treat it by the rules
                        self.stepper.update(found.gradient, self._factor(1))
                    self.optimizer.zero_grad(set_to_none=True)
                durations.append(lap.seconds)
        with self.clock.apart() as checkpoint:
            if not self._must_stop():
                self.checkpointing.rehearse(self.progress, self.precision)
        first, _ = self.checkpointing.latest()
        assert first is not None
        assert first.step == 0
        fits = self.progress.micro_batch_size
        self.progress = self.checkpointing.restore(first)
        self.progress.micro_batch_size = fits
        return courses.seconds_per_step(durations), checkpoint.seconds

    def _timed_enough(self, durations: Sequence[float]) -> bool:
        """By the clock of process 0."""
        enough = len(durations) >= len(self.feed.moments) and courses.are_enough(durations, self.training)
        return self.processes.any(self.processes.leads and enough)

    def _read_course(self) -> dict[str, Any]:
        """The course of this run, plain; where changes are allowed and the budget did, laid out anew from the
        same rates.
        """
        course = RunLength.load(self.run.course)
        if course.budget != self.training.budget:
            course = courses.lay_out(self.training, course.rates)
            course.save(self.run.course)
        return asdict(course)

    # The loop

    def _train(self, course: RunLength) -> None:
        """Steps until the course is run or a signal comes; then a checkpoint."""
        evaluate_every = course.every(self.training.evaluate_every)
        saves = self.training.checkpoint_every
        save_every = None if saves.unit == "seconds" else course.every(saves)
        self._status("training")
        self.log.started(step=self.progress.step, total_steps=course.total_steps)
        self._evaluate_if_due()
        self.clock.trains(tokens=self.progress.tokens)
        with closing(self._ahead()) as ahead:
            while self._unfinished(course) and not self._must_stop():
                self._status("training")
                before = self.progress.step
                self._step(ahead, course)
                step = self.progress.step
                ends = step == course.total_steps or (evaluate_every and step % evaluate_every == 0)
                if ends and step > before:  # else gone back to where all this was done
                    self.progress.evaluation_due = self.evaluate is not None
                self._evaluate_if_due()
                if save_every is None:
                    due = self.clock.since_save >= saves.amount
                else:
                    due = step % save_every == 0
                if self.processes.any(due):
                    self._save()
        signum = self._signal()
        if signum is not None and self._unfinished(course):
            name, took = signal.Signals(signum).name, self.clock.last_save.seconds
            self._note(
                f"{name}: saving step {self.progress.step}, which last took {took:.1f} s; once more ends at once"
            )
        self._save()

    def _unfinished(self, course: RunLength) -> bool:
        if self.progress.enough:
            return False
        return self.progress.step < course.total_steps or self.progress.evaluation_due

    def _must_stop(self) -> bool:
        return self._signal() is not None

    def _signal(self) -> int | None:
        """The signal that any process received."""
        return round(self.processes.most(self.interrupts.signum or 0)) or None

    def _ahead(self) -> Prefetch:
        return Prefetch(self.feed, workers=self.training.workers, processes=self.processes)

    def _step(self, ahead: Prefetch, course: RunLength) -> None:
        """One step of the run: an update, or none when the rules say so."""
        carried = snapshot.carried(self.module)
        found = self._gradient(ahead, step=self.progress.data_step)
        verdict = judge(
            found, self.progress, self.training, self.module, self.run.diagnosis, processes=self.processes
        )
        if verdict.why:
            self._note(verdict.why, kind=verdict.kind, step=self.progress.step + 1, loss=found.gradient.total)
        if verdict.do == "rewind":
            self._rewind()
            return
        if verdict.do == "update":
            self.stepper.update(found.gradient, self._factor(course.total_steps))
            self.progress.learned(found.gradient.losses, found.gradient.total)
        else:
            snapshot.restore_carried(self.module, carried)
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.tokens += found.gradient.num_tokens
        self.progress.empty += not any(found.gradient.counts.values())
        if self.progress.step % self.training.log_every == 0 or self.progress.step == course.total_steps:
            self._log(found.gradient.norm, course)

    def _gradient(self, ahead: Prefetch, *, step: int) -> Fitted:
        """From the data of `step`."""
        before = self.progress.micro_batch_size
        found = self.stepper.gradient(ahead.batches(step, before), data_step=step, micro_batch_size=before)
        self.progress.micro_batch_size = found.micro_batch_size
        if found.micro_batch_size != before:
            self._note(
                f"memory ran out with micro-batches of {before} rows; going on with {found.micro_batch_size}"
            )
        return found

    def _factor(self, total_steps: int) -> float:
        return self.training.schedule(self.progress.step, total_steps)

    def _rewind(self) -> None:
        """Back to the newest checkpoint, and past the data that led here from it."""
        bad = self.progress
        saved, damaged = self.checkpointing.latest()
        assert saved is not None
        self.optimizer.zero_grad(set_to_none=True)
        self.progress = self.checkpointing.restore(saved)
        self.progress.batches_passed_over = bad.data_step + 1 - saved.step
        self.progress.non_finite, self.progress.micro_batch_size = bad.non_finite, bad.micro_batch_size
        self.progress.evaluation_due = False  # it was made before any step from here
        self.saved_step = saved.step
        self.processes.on_rank_zero(lambda: self.run.metrics.trim(saved.step))
        self.clock.trains(tokens=self.progress.tokens)
        for text in damaged:
            self._note(text)
        self._note(
            f"step {bad.step + 1} was not finite; back to step {saved.step}, passing over its data",
            kind="rewind",
        )

    # What is said and kept

    def _status(self, state: State) -> None:
        total = self.course.total_steps if self.course else None
        self.log.status(state, step=self.progress.step, total_steps=total)

    def _note(self, text: str, *, kind: str = "note", step: int | None = None, **facts: float) -> None:
        self.log.note(text, kind=kind, step=self.progress.step if step is None else step, **facts)

    def _log(self, norm: float, course: RunLength) -> None:
        loss, parts = self.progress.take_means()
        if loss is None:  # all left out
            return
        factor = self.training.schedule(self.progress.step - 1, course.total_steps)
        self.log.step(
            {
                "kind": "step",
                "step": self.progress.step,
                "loss": loss,
                "parts": parts,
                "learning_rate": self.training.optimizer.learning_rate * factor,
                "grad_norm": norm,
                "tokens": self.progress.tokens,
                "tokens_per_second": self.clock.speed(tokens=self.progress.tokens),
                "seconds": self.clock.total,
                "epoch": self.feed.epoch_of(self.progress.data_step * self.feed.batch_size - 1),
            }
        )

    def _evaluate_if_due(self) -> None:
        """Evaluates; broken off by a signal it stays due."""
        if not self.progress.evaluation_due:
            return
        assert self.evaluate is not None
        self._status("evaluating")
        figures: dict[str, float] | None = None
        with self.clock.apart() as lap:
            with suppress(Interrupted), snapshot.undisturbed(self.module, self.device), self._breaking():
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
            self._note(f"stopped early: {self.progress.enough}")

    def _breaking(self) -> AbstractContextManager:
        """Inside, a signal breaks work off, unless other processes would wait for this one in its midst."""
        return nullcontext() if self.parallel.meets_in_passes else self.interrupts.breaking()

    def _save(self) -> None:
        """A checkpoint of this step unless there is one. Raises SaveError when the disk is full and the rules
        say "stop".
        """
        if self.saved_step == self.progress.step:
            return
        self._status("saving")
        self.progress.seconds = self.clock.total
        self.processes.on_rank_zero(self.run.metrics.sync)
        with self.clock.saves():
            try:
                saved = self.checkpointing.save(self.progress, self.precision)
            except SaveError as error:
                if self.training.on_disk_full == "stop":
                    raise
                self._note(f"no checkpoint at step {self.progress.step}: {error}", kind="save_failed")
            else:
                self.saved_step = saved.step
                self.log.checkpoint(step=saved.step, path=saved.path)
