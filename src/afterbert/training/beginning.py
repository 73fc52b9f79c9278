"""How a run begins: anew or from a checkpoint, and with its budget turned into a number of steps, once."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from afterbert.base.errors import UserError
from afterbert.training import run_length
from afterbert.training.checkpoints import generators
from afterbert.training.checkpoints.checkpoint import Saved
from afterbert.training.live_run import LiveRun
from afterbert.training.precision import Precision, choose
from afterbert.training.progress import Progress
from afterbert.training.run_length import RunLength, Timing


@dataclass(frozen=True)
class Beginning:
    """The first part of a run, after which `LiveRun` has its progress and its length."""

    live: LiveRun

    def begin_or_resume(self, notes: list[str], *, allow_changes: bool) -> None:
        """From the newest whole checkpoint where there is one; everything that is out of the ordinary is told. Leaves
        the run without a length where a signal came before it was known."""
        live = self.live
        live.processes.on_rank_zero(self._open)
        live.module.train()
        saved, damaged = live.checkpointing.latest()
        notes = notes + damaged
        if saved is not None and saved.step == 0 and self._forgotten(saved):
            saved = None
        notes += self._begin() if saved is None else self._resume(saved, allow_changes=allow_changes)
        for text in notes:
            live.note(text)
        if live.progress.step == 0 and not self.has_length():
            self.fix_length()
        if live.progress.step > 0 or self.has_length():
            live.length = RunLength.of(live.processes.on_rank_zero(self._read_length))

    def _open(self) -> None:
        self.live.run.report(state="starting", message="", step=0, total_steps=None)
        self.live.checkpointing.checkpoints.sweep()

    def has_length(self) -> bool:
        return self.live.processes.on_rank_zero(self.live.run.course.exists)

    def _forgotten(self, saved: Saved) -> bool:
        """Takes back the beginning of a run that has learned nothing yet, where its recipe was mended (or the data).
        Returns whether it did."""
        live = self.live

        def forget() -> bool:
            learned = any(record["kind"] == "step" for record in live.run.metrics.read())
            if learned or not live.checkpointing.is_of_another_run(saved):
                return False
            live.run.metrics.trim(-1)
            live.run.course.unlink(missing_ok=True)
            live.checkpointing.checkpoints.forget(saved)
            return True

        return live.processes.on_rank_zero(forget)

    def _begin(self) -> list[str]:
        """A new run, with a checkpoint of step 0."""
        live = self.live
        if live.processes.on_rank_zero(lambda: bool(live.run.metrics.read())):
            raise UserError(
                f"run folder {live.run.path} has metrics but no checkpoint; restore its checkpoints, "
                "or delete the folder to start anew"
            )
        generators.seed(live.training.seed, rank=live.processes.rank)
        chosen = live.processes.on_rank_zero(lambda: asdict(choose(live.training.precision, live.device)))
        live.set_precision(Precision(**chosen))
        live.progress = Progress(self._asked_micro_batch_size, self._asked_micro_batch_size)
        live.progress.evaluation_due = live.evaluate is not None and (
            live.training.evaluate_every is not None or run_length.needs_timing(live.training)
        )
        live.save()
        return [f"precision {live.precision.name}: {live.precision.reason}"]

    def _resume(self, saved: Saved, *, allow_changes: bool) -> list[str]:
        """Puts everything back to where the checkpoint was made."""
        live = self.live
        precision, notes = live.checkpointing.compare(saved, allow_changes=allow_changes)
        live.set_precision(precision)
        if live.training.compile:
            self._compile_as_at_first()
        live.progress = live.checkpointing.restore(saved)
        if live.progress.asked_micro_batch_size != self._asked_micro_batch_size:
            live.progress.micro_batch_size = self._asked_micro_batch_size
            live.progress.asked_micro_batch_size = self._asked_micro_batch_size
        live.clock.resumed(seconds=live.progress.seconds)
        live.saved_step = saved.step
        live.figures = live.processes.on_rank_zero(lambda: self._trimmed(saved.step))
        return [*notes, f"resumed from {saved.path.name}"]

    def _compile_as_at_first(self) -> None:
        """A pass over the data of the first step, before everything is put back: kernels are fitted to the shapes that
        come first, and a resumed run must have those of an unbroken one."""
        live = self.live
        live.progress = Progress(self._asked_micro_batch_size, self._asked_micro_batch_size)
        with closing(live.prefetch()) as ahead:
            for step in range(len(live.feed.moments)):
                live.gradient(ahead, step=step)
        live.optimizer.zero_grad(set_to_none=True)

    def _trimmed(self, step: int) -> Mapping[str, float] | None:
        """Takes back what was said after a step; the figures of the last evaluation before."""
        live = self.live
        comes_again = ["rewind"] + ["evaluation"] * live.progress.evaluation_due
        live.run.metrics.trim(step, without=tuple(comes_again))
        evaluations = [record["figures"] for record in live.run.metrics.read() if record["kind"] == "evaluation"]
        return evaluations[-1] if evaluations else None

    @property
    def _asked_micro_batch_size(self) -> int:
        live = self.live
        return min(live.training.micro_batch_size or live.training.batch_size, live.training.batch_size)

    def fix_length(self) -> None:
        """Turns the budget into steps, after everything was tried once. Leaves the run as it was at step 0; when a
        signal comes, without a length."""
        live = self.live
        live.status("measuring")
        step, checkpoint = self._try_out()
        with live.clock.apart() as evaluation:
            live.evaluate_if_due()
        if live.must_stop():
            return
        timing = None
        if run_length.needs_timing(live.training):
            timing = Timing(step, evaluation.seconds, checkpoint, live.clock.here)
        live.processes.on_rank_zero(lambda: self._lay_out(timing))

    def _lay_out(self, timing: Timing | None) -> None:
        live = self.live
        rates = run_length.rates_of(live.feed, flops_per_step=live.flops_per_step, timing=timing)
        length = run_length.lay_out(live.training, rates, timing)
        length.save(live.run.course)
        if timing and (said := run_length.said_of_short(length, timing)):
            live.note(said)

    def _try_out(self) -> tuple[float, float]:
        """Real steps and a checkpoint of full size, all undone again. Returns the seconds of a step and of a
        checkpoint."""
        live = self.live
        durations: list[float] = []
        with closing(live.prefetch()) as ahead:
            while not live.must_stop() and not self._timed_enough(durations):
                with live.clock.apart() as lap:
                    found = live.gradient(ahead, step=len(durations))
                    if found.gradient.is_finite:  # else the loop will meet it, and treat it by the rules
                        live.stepper.update(found.gradient, live.factor(1))
                    live.optimizer.zero_grad(set_to_none=True)
                durations.append(lap.seconds)
        with live.clock.apart() as checkpoint:
            if not live.must_stop():
                live.checkpointing.rehearse(live.progress, live.precision)
        first, _ = live.checkpointing.latest()
        assert first is not None
        assert first.step == 0
        fits = live.progress.micro_batch_size
        live.progress = live.checkpointing.restore(first)
        live.progress.micro_batch_size = fits
        return run_length.seconds_per_step(durations), checkpoint.seconds

    def _timed_enough(self, durations: Sequence[float]) -> bool:
        """By the clock of process 0."""
        live = self.live
        enough = len(durations) >= len(live.feed.moments) and run_length.are_enough(durations, live.training)
        return live.processes.any(live.processes.leads and enough)

    def _read_length(self) -> dict[str, Any]:
        """The length of this run, plain; where changes are allowed and the budget did, laid out anew from the same
        rates."""
        live = self.live
        length = RunLength.load(live.run.course)
        if length.budget != live.training.budget:
            length = run_length.lay_out(live.training, length.rates)
            length.save(live.run.course)
        return asdict(length)
