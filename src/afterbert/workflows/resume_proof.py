"""The proof that a run which is killed, stopped and resumed ends as if nothing had happened, on this machine.

The command line itself is run in child processes, once to its end without disturbance and once with many
interruptions; then every logged number and every tensor file is compared bit for bit.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder, explain_exit
from afterbert.recipes.recipe import Resolved, resolve
from afterbert.workflows.resume_evidence import Difference, Evidence, first_difference

#: Where a process may die inside a save, in this order (`training.checkpoint` knows them).
SAVE_POINTS = ("before write", "mid file", "before manifest", "before rename", "before purge")

# A child that says nothing new for so many seconds hangs.
_PATIENCE = 600.0
_STARTING = ("starting", "measuring")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Interruption:
    """The way a process ends. kind: "SIGKILL" and "SIGTERM" come from outside at a random moment, some steps after the
    process began to train; "save" is SIGKILL at a `point` inside its first checkpoint."""

    kind: str
    point: str = ""
    steps: int = 0
    moment: float = 0.0  # as a share of a step

    def __str__(self) -> str:
        return f"SIGKILL in a save, {self.point}" if self.kind == "save" else self.kind


@dataclass(frozen=True)
class Struck:
    """An interruption that was made. last_step: the last one logged before it; resumes_from: the newest
    checkpoint it left; mistake: what was not as it should be."""

    interruption: Interruption
    last_step: int
    resumes_from: int
    mistake: str = ""


@dataclass(frozen=True)
class ResumeVerdict:
    """The outcome of the proof. difference: None if every bit agrees; causes: what may have led to it."""

    struck: Sequence[Struck]
    compared: Evidence
    difference: Difference | None = None
    causes: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        return self.difference is None and not any(struck.mistake for struck in self.struck)


def interruptions(kills: int, *, every: int, seed: int) -> list[Interruption]:
    """Returns `kills` SIGKILLs at random steps, one at each point inside a save, and one SIGTERM, in random order.
    every: steps between checkpoints; a kill strikes before or after the process's first one, never after a second."""
    draw = random.Random(seed)
    outside = [*["SIGKILL"] * kills, "SIGTERM"]
    found = [Interruption(kind, steps=draw.randint(1, max(1, 2 * every - 2)), moment=draw.random()) for kind in outside]
    found += [Interruption("save", point=point) for point in SAVE_POINTS]
    draw.shuffle(found)
    return found


def proof_recipe(
    name: str, *, size: str | None, steps: int, kills: int, overrides: Sequence[tuple[str, str]]
) -> tuple[Resolved, int]:
    """Returns the recipe cut to `steps` with every step logged, and the steps between its checkpoints, few enough that
    all interruptions strike before the end. Raises UserError."""
    every = steps // (kills + 5)
    if every < 1:
        raise UserError(
            f"{kills} kills do not fit into {steps} steps; take --steps {kills + 5} or more, or fewer --kills"
        )
    laid_on_top = [
        ("training.budget", f"{steps}steps"),
        ("training.checkpoint_every", f"{every}steps"),
        ("training.evaluate_every", f"{max(1, steps // 2)}steps"),
        ("training.log_every", "1"),
    ]
    return resolve(name, size=size, overrides=[*overrides, *laid_on_top]), every


@dataclass
class Proof:
    """One proof in a `folder` of its own. command: what starts the command line; say: told what is done now."""

    folder: Path
    store: Path
    recipe: Path
    say: Say = lambda text: None
    command: Sequence[str] = field(default=(sys.executable, "-m", "afterbert"))

    def __call__(self, plan: Sequence[Interruption]) -> ResumeVerdict:
        """Raises UserError if the uninterrupted run does not come to its end."""
        self.say("the uninterrupted run")
        whole = self._to_the_end("whole")
        expected = Evidence.of(whole)
        struck = [self._strike(made, number, len(plan), whole) for number, made in enumerate(plan, start=1)]
        self.say("to the end")
        broken = self._to_the_end("broken")
        difference = first_difference(expected, Evidence.of(broken))
        causes = self._causes(difference, expected, broken, struck) if difference else []
        return ResumeVerdict(struck, expected, difference, causes)

    def _to_the_end(self, name: str) -> RunFolder:
        with self._child(name) as child:
            code = child.wait()
        if code != 0:
            raise UserError(*self._complaint(name, code))
        return RunFolder(self.folder / name)

    def _strike(self, made: Interruption, number: int, count: int, whole: RunFolder) -> Struck:
        """Starts the broken run once more and interrupts it."""
        run, before = RunFolder(self.folder / "broken"), _newest_checkpoint(self.folder / "broken")
        self.say(f"interruption {number} of {count}: {made}, from step {before or 0} on")
        crash = {"AFTERBERT_TEST_CRASH_AT": f"save:1:{made.point}"} if made.kind == "save" else {}
        with self._child("broken", **crash) as child:
            if made.kind != "save":
                _wait_for_step(child, run, (before or 0) + made.steps)
                times = [record["seconds"] for record in whole.metrics.read() if record["kind"] == "step"]
                time.sleep(made.moment * (times[-1] - times[0]) / max(1, len(times) - 1))
                child.send_signal(signal.Signals[made.kind])
            code = child.wait()
        expected = 128 + signal.SIGTERM if made.kind == "SIGTERM" else -signal.SIGKILL
        mistake = "" if code == expected else f"it ended otherwise: {explain_exit(code)}"
        if code == 0:
            mistake = "the run was over before; take more --steps"
        set_aside = sorted(path.name for path in run.checkpoints.glob(".bad-*"))
        if set_aside:
            mistake = f"a damaged checkpoint was set aside: {', '.join(set_aside)}"
        return Struck(made, _last_step(run), _newest_checkpoint(run.path) or 0, mistake)

    @contextmanager
    def _child(self, name: str, **environment: str) -> Iterator[subprocess.Popen]:
        """`pretrain` in a process of its own, into the run folder `name`; never left alone."""
        arguments = [str(self.store), "--recipe", str(self.recipe), "--out", str(self.folder), "--name", name]
        with open(self.folder / f"{name}.log", "ab") as log:
            child = subprocess.Popen(
                [*self.command, "pretrain", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()

    def _complaint(self, name: str, code: int) -> list[str]:
        """What a child that should have finished said last."""
        log = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line.removeprefix("error: ") for line in log if line.startswith("error: ")] or log[-1:]
        return [f"the {name} run did not come to its end ({explain_exit(code)}); it said:", *said]

    def _causes(
        self, difference: Difference, expected: Evidence, broken: RunFolder, struck: Sequence[Struck]
    ) -> list[str]:
        """A second uninterrupted run tells whether the machine repeats itself at all."""
        self.say("they differ: once more uninterrupted, to see whether this machine repeats itself")
        again = first_difference(expected, Evidence.of(self._to_the_end("again")))
        notes = [record["text"] for record in broken.metrics.read() if record["kind"] == "note"]
        causes = [note for note in notes if "may differ" in note or "memory ran out" in note]
        if again is not None:
            return [
                f"two uninterrupted runs differ as well ({again}): a kernel here does not give the same bits twice; "
                "on an accelerator take --training.deterministic true, on a processor OMP_NUM_THREADS=1",
                *causes,
            ]
        before = [made for made in struck if difference.step is None or made.resumes_from < difference.step]
        if before:
            causes.append(
                f"two uninterrupted runs agree, so it was lost between stop and resume; the last one before it: "
                f"{before[-1].interruption}, resumed from step {before[-1].resumes_from}"
            )
        return causes


def _wait_for_step(child: subprocess.Popen, run: RunFolder, step: int) -> None:
    """Until this very process has logged `step`, or is over. What it has not trimmed yet is not its own."""
    news, since = (-1, ""), time.monotonic()
    while child.poll() is None:
        status = run.status()
        if status is not None and status.pid == child.pid and status.state not in _STARTING:
            reached = _last_step(run)
            if reached >= step:
                return
            if (reached, status.state) != news:
                news, since = (reached, status.state), time.monotonic()
        if time.monotonic() - since > _PATIENCE:
            raise UserError(f"the run says nothing new for {_PATIENCE:.0f} s; look at {run.path} and its log beside")
        time.sleep(0.005)


def _last_step(run: RunFolder) -> int:
    return max((record["step"] for record in run.metrics.read() if record["kind"] == "step"), default=0)


def _newest_checkpoint(path: Path) -> int | None:
    return max((int(found.name.split("-")[1]) for found in path.glob("checkpoints/step-*")), default=None)
