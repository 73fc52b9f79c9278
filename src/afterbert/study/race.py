"""A race: recipes trained for the same time (or tokens, or steps) on the same text, to see which learns most from it.

The time of a step is measured once, of all recipes in turn, and becomes a number of steps for each: so a race may be
run on a busy machine, stopped and gone on with, and every seed of a recipe reads the same number of tokens.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from afterbert.base.budget import Budget
from afterbert.base.config import digest, to_plain
from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.base.sealed import read_sealed, write_sealed
from afterbert.recipes.recipe import Resolved, resolve
from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.progress import is_finished
from afterbert.study.statistics import ArmDifference, difference, spread
from afterbert.text.token_store.store import Store
from afterbert.training.devices import default_device
from afterbert.training.guards import Diverged
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.pretraining import pretrain
from afterbert.workflows.run_folders import run_folder_for
from afterbert.workflows.step_time import StepTime, step_times
from afterbert.workflows.stores import store_of

_EVALUATIONS = 20  # along each run, between which the moment of reaching is interpolated
RECORD_SEEDS, RECORD_P = 3, 0.01
"""What a record needs: so many seeds, and a chance below this of being no better."""


@dataclass(frozen=True)
class RaceRequest:
    """A request for a race, as a user makes it."""

    texts: tuple[str, ...]
    """Paths of texts, or of one store."""
    recipes: tuple[str, ...]
    """Names or paths of YAML files; the first is what the others are compared with."""
    budget: Budget
    """What each run gets: a time on this machine, tokens or steps."""
    to: float | None = None
    """A held-out masked accuracy, from 0 to 1, or where `by_loss` a held-out loss, whose first reaching is timed."""
    by_loss: bool = False
    """Whether the held-out loss of each recipe's own task decides: only for recipes that ask the same."""
    seeds: int = 3
    size: str | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    """Settings of all of them."""
    out: Path = Path("runs")

    def __post_init__(self) -> None:
        if len(set(self.recipes)) < 2:
            raise UserError("a race needs two recipes at least; write --recipes laptop,mine.yaml")
        if self.budget.unit not in ("seconds", "tokens", "steps"):
            raise UserError(f"a race is for a time, tokens or steps, not for {self.budget}; write --for 10min")


@dataclass(frozen=True)
class Racer:
    """The result of a recipe. values: by seed; reached: by seed, the share of the run after which it reached the goal,
    None if it did not; against: this recipe against the first one, None for the first itself."""

    name: str
    steps: int
    step: StepTime
    values: tuple[float, ...]
    bits_per_byte: tuple[float, ...]
    reached: tuple[float | None, ...]
    against: ArmDifference | None

    @property
    def tokens(self) -> float:
        """How many tokens each of its runs reads."""
        return self.steps * self.step.tokens

    @property
    def seconds(self) -> float:
        """How long a run takes at the measured speed, without evaluations."""
        return self.steps * self.step.seconds

    @property
    def mean(self) -> float:
        return spread(self.values)[0]

    @property
    def deviation(self) -> float | None:
        return spread(self.values)[1]

    @property
    def share_to_goal(self) -> tuple[float, float, float] | None:
        """The mean share of a run until the goal, and its 95% interval over seeds; None if one did not reach it."""
        found = [Measurement(share) for share in self.reached if share is not None]
        if not found or len(found) < len(self.reached):
            return None
        mean = difference(found, [Measurement(0.0)] * len(found), smallest=0.0)
        return mean.estimate, max(0.0, mean.low), mean.high

    @property
    def is_record(self) -> bool:
        """Whether it beats the first recipe as a record must."""
        found = self.against
        enough = found is not None and len(self.values) >= RECORD_SEEDS
        return bool(enough and found and found.estimate > 0 and found.p_equal < RECORD_P)


@dataclass(frozen=True)
class RaceResult:
    """racers: in the order of the request; None if a signal stopped the race, and the same call goes on."""

    request: RaceRequest
    folder: Path
    racers: tuple[Racer, ...] | None
    exit_code: int = 0
    diverged: tuple[str, ...] = ()
    """The recipes that left the race, a run of theirs having diverged."""


def run_race(request: RaceRequest, *, observer: WorkObserver | None = None) -> RaceResult:
    """Runs the race or goes on with it, writes `race.json` into its folder below `races`, and returns the result.
    Raises UserError."""
    observer, device = observer or WorkObserver(), default_device()
    arms = {name: resolve(name, size=request.size, overrides=request.overrides) for name in request.recipes}
    store = _shared_store(request, arms, observer)
    asked = {name: to_plain(arm.recipe) for name, arm in arms.items()}
    key = digest({"arms": asked, "store": store.fingerprint, "budget": str(request.budget)}, length=8)
    folder = request.out / "races" / key
    times = _times(folder / "speed.json", arms, store, device, observer)
    runs: dict[str, list[FinishedRun]] = {name: [] for name in arms}
    diverged: list[str] = []
    for seed in range(request.seeds):
        for name, arm in arms.items():
            if name in diverged:
                continue
            laid_out = _laid_out(arm, request.budget, times[name], seed)
            run = run_folder_for(request.out, laid_out, store)
            if not is_finished(run.path):
                steps = laid_out.recipe.training.budget.amount
                observer.on_line(f"{name}, seed {seed}: {steps:,.0f} steps in {run.path}")
                try:
                    done = pretrain(laid_out, store, run, observers=[observer], device=device)
                except Diverged as error:
                    observer.on_note(f"{name}, seed {seed}, diverged, and the recipe leaves the race: {error}")
                    diverged.append(name)
                    continue
                if done.outcome.state != "finished":
                    return RaceResult(request, folder, None, done.outcome.exit_code)
            runs[name].append(FinishedRun(run.path))
            _course(runs[name][-1], _figure(request)[0], name)  # refuses what it is not asked, at its first run
    if len(diverged) == len(arms):
        raise UserError("all recipes diverged; lower their learning rate: --training.learning_rate")
    racers = _racers(request, times, {name: made for name, made in runs.items() if name not in diverged})
    result = RaceResult(request, folder, racers, diverged=tuple(diverged))
    told = {"racers": [asdict(one) for one in racers], "diverged": diverged}
    plain = {"asked": _plain(request), **told, "cores": os.cpu_count()}
    write_atomically(folder / "race.json", json.dumps(_finite(plain), indent=1) + "\n")
    return result


def _shared_store(request: RaceRequest, arms: Mapping[str, Resolved], observer: WorkObserver) -> Store:
    first, *others = arms.values()
    for other in others:
        if other.recipe.tokenizer != first.recipe.tokenizer:
            raise UserError(
                f"{first.name} and {other.name} cut text into other pieces, whose figures cannot be compared; race "
                "recipes of one tokenizer, or set it for all: --tokenizer.type bpe"
            )
    return store_of(request.texts, first.recipe.tokenizer, out=request.out, observer=observer)


def _times(
    path: Path, arms: Mapping[str, Resolved], store: Store, device: torch.device, observer: WorkObserver
) -> dict[str, StepTime]:
    """Measured once: what a race began with it ends with."""
    if path.is_file():
        known = read_sealed(path, remedy="delete it to measure anew")
        return {name: StepTime(**known["arms"][name]) for name in arms}
    observer.on_line("measuring the time of a step, all recipes in turn")
    found = step_times(arms, store, device=device)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sealed(path, {"arms": {name: asdict(one) for name, one in found.items()}, "cores": os.cpu_count()})
    return found


def _laid_out(arm: Resolved, budget: Budget, step: StepTime, seed: int) -> Resolved:
    """The arm with its number of steps."""
    per_step = {"seconds": step.seconds, "tokens": step.tokens, "steps": 1.0}[budget.unit]
    steps = max(1, int(budget.amount / per_step + 1e-9))
    training = replace(
        arm.recipe.training,
        budget=Budget(steps, "steps"),
        evaluate_every=Budget(max(1, math.ceil(steps / _EVALUATIONS)), "steps"),
        seed=seed,
        keep_checkpoints=1,
    )
    return arm.replaced("race", training=training)


def _racers(
    request: RaceRequest, times: Mapping[str, StepTime], runs: Mapping[str, Sequence[FinishedRun]]
) -> tuple[Racer, ...]:
    key, sign = _figure(request)
    racers: list[Racer] = []
    first: list[Measurement] = []
    for name, made in runs.items():
        courses = [_course(run, key, name) for run in made]
        last = [Measurement(course[-1][1]) for course in courses]
        first = first or last
        steps = courses[0][-1][0]
        bits = [run.evaluation.get("measures", {}).get("bits_per_byte") for run in made]
        racers.append(
            Racer(
                name=name,
                steps=steps,
                step=times[name],
                values=tuple(one.value for one in last),
                bits_per_byte=tuple(one for one in bits if one is not None),
                reached=tuple(_reached(course, request.to, sign) for course in courses),
                against=difference(last, first, smallest=0.0, sign=sign) if racers else None,
            )
        )
    return tuple(racers)


def _figure(request: RaceRequest) -> tuple[str, int]:
    """What decides, and -1 where less of it is better."""
    return ("loss", -1) if request.by_loss else ("masked_accuracy", 1)


def _course(run: FinishedRun, key: str, name: str) -> list[tuple[int, float]]:
    """(step, held-out figure) along a run."""
    found = [(one["step"], one["figures"][key]) for one in run.evaluations if key in one["figures"]]
    if not found:
        raise UserError(
            f"{name} has no held-out {key.replace('_', ' ')}; "
            + ("give the race more text" if key == "loss" else "race such recipes by their loss: --to 3.5 or --by-loss")
        )
    return found


def _reached(course: Sequence[tuple[int, float]], goal: float | None, sign: int) -> float | None:
    """The share of the run after which the goal was first reached, interpolated between two evaluations.

    >>> _reached([(0, 0.1), (50, 0.2), (100, 0.4)], 0.3, 1)
    0.75
    >>> _reached([(0, 0.1), (100, 0.2)], 0.3, 1), _reached([(0, 5.0), (100, 3.0)], 4.0, -1)
    (None, 0.5)
    >>> _reached([(0, 0.5), (100, 0.4)], 0.3, 1), _reached([(1, 0.5)], 0.3, 1)   # at once; by the only step
    (0.0, 1.0)
    """
    if goal is None:
        return None
    last = course[-1][0]
    if sign * course[0][1] >= sign * goal:
        return course[0][0] / last
    for (before, low), (after, high) in pairwise(course):
        if sign * high >= sign * goal:
            share = 0.0 if high == low else max(0.0, (goal - low) / (high - low))
            return (before + share * (after - before)) / last
    return None


def _plain(request: RaceRequest) -> dict[str, Any]:
    return {**asdict(request), "budget": str(request.budget), "out": str(request.out)}


def _finite(value: Any) -> Any:
    """What JSON can hold: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
