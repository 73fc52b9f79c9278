"""A study carried out: its runs, one after the other or several at once, then results that pages are made of."""

import signal
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.small_files import read_json
from afterbert.study.answering import Stopped, answered, together
from afterbert.study.design import Arm
from afterbert.study.engines import Engine
from afterbert.study.made import FinishedRun
from afterbert.study.plan import PlannedRun, StudyPlan, listed_runs, seconds_needed
from afterbert.study.progress import is_finished, share_done
from afterbert.study.results import StudyResults, collected, measured, write_results
from afterbert.study.statistics import smallest_seen
from afterbert.training.guards import Diverged
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.pretraining import pretrain


@dataclass(frozen=True)
class StudyOutcome:
    """The result of carrying out a study. results: None if a signal stopped it; the same call goes on."""

    plan: StudyPlan
    results: StudyResults | None
    exit_code: int = 0

    @property
    def folder(self) -> Path:
        return self.plan.folder


def run_study(plan: StudyPlan, *, observer: WorkObserver | None = None, engine: Engine | None = None) -> StudyOutcome:
    """Carries out what is planned, or goes on with it, and writes `results.json` in the study's folder. engine: what
    carries out the runs; None: this process, one after the other. Raises UserError."""
    observer = observer or WorkObserver()
    try:
        if engine is not None and not _left_to(engine, plan, plan.searches, observer):
            return StudyOutcome(plan, None)
        plan = _searched(plan, observer)
        plan.write()
        observer.on_line(f"writes to: {plan.folder}")
        if engine is not None and not _left_to(engine, plan, plan.runs, observer):
            return StudyOutcome(plan, None)
        made, diverged = _carried_out(plan, observer)
    except Stopped as stopped:
        return StudyOutcome(plan, None, stopped.exit_code)
    results = collected(plan, made, notes=diverged)
    write_results(plan.folder / "results.json", results)
    return StudyOutcome(plan, results)


def _left_to(engine: Engine, plan: StudyPlan, runs: Sequence[PlannedRun], observer: WorkObserver) -> bool:
    """Whether an engine has done all of these runs; what is finished is not given to it. Raises Stopped."""
    words = [*plan.request.words, "--only"]
    folders = list(dict.fromkeys(run.folder(plan.request.out).path for run in runs))
    asks = bool(plan.request.tasks) and all(run.factor is None for run in runs)
    waiting = [one for one in folders if not _mark(plan, one).exists() and (asks or not is_finished(one))]
    plan.folder.mkdir(parents=True, exist_ok=True)
    if not waiting:
        return True

    def share() -> float:  # where labelled tasks are asked, they count for half
        done = sum(map(share_done, waiting))
        return (done + sum(_mark(plan, one).exists() for one in waiting)) / 2 if asks else done

    begun, first = time.monotonic(), share()
    with observer.working(f"{len(waiting)} runs") as advance:

        def look() -> None:
            done = share()
            left = (time.monotonic() - begun) / (done - first) * (len(waiting) - done) if done > first else None
            advance(done / len(waiting), 1.0, "" if left is None else f"about {left / 60:.0f} min left")

        commands = [[*words, folder.name] for folder in waiting]
        try:
            return engine(commands, folder=plan.folder, observer=observer, look=look)
        except KeyboardInterrupt:
            raise Stopped(128 + signal.SIGINT) from None


def run_one(plan: StudyPlan, name: str, *, observer: WorkObserver | None = None) -> int:
    """Carries out the one run whose folder is called so, with all that labelled tasks are asked of it, and gives the
    exit code. Raises UserError."""
    observer = observer or WorkObserver()
    try:
        if name not in (folders := _by_folder(plan, plan.searches)):
            plan = _searched(plan, observer)
            folders = _by_folder(plan, plan.runs)
        if name not in folders:
            raise UserError(f"the study has no run {name}; its runs are {', '.join(folders)}")
        for run in folders[name]:
            folder = _trained(plan, run, observer)
            for arm in _asked_of(plan, run):
                answered(plan, arm, folder, run.seed, observer)
        if plan.request.tasks and folders[name][0].factor is None:
            _set_mark(plan, folder)
    except Stopped as stopped:
        return stopped.exit_code
    except Diverged as error:  # the study says so, and goes on with the others
        observer.on_line(f"{name} diverged: {error}")
        _set_mark(plan, plan.request.out / name)
    return 0


def _asked_of(plan: StudyPlan, run: PlannedRun) -> list[Arm]:
    """The arms whose labelled tasks are asked of this run: its own, and those that begin at random weights."""
    if run.factor is not None:
        return []
    is_first = run.arm == plan.study.reference and run.seed < plan.scale.seeds
    others = [arm for arm in plan.study.arms.values() if not arm.is_pretrained] if is_first else []
    return [plan.study.arms[run.arm], *others]


def _mark(plan: StudyPlan, run: Path) -> Path:
    """The file that says that everything was asked of a run, or that it diverged, so that no engine is given it
    again."""
    return plan.folder / "asked" / run.name


def _set_mark(plan: StudyPlan, run: Path) -> None:
    _mark(plan, run).parent.mkdir(parents=True, exist_ok=True)
    _mark(plan, run).touch()


def _by_folder(plan: StudyPlan, runs: Sequence[PlannedRun]) -> dict[str, list[PlannedRun]]:
    """Name of a folder -> the run that it holds, once for each arm that has it."""
    found: dict[str, list[PlannedRun]] = {}
    for run in runs:
        found.setdefault(run.folder(plan.request.out).path.name, []).append(run)
    return found


def _searched(plan: StudyPlan, observer: WorkObserver) -> StudyPlan:
    """The plan with the learning rate that served each arm's own held-out loss best."""
    losses: dict[str, dict[float, float]] = {}
    for number, run in enumerate(plan.searches):
        observer.on_line(
            f"learning rate of {run.arm}, {run.factor:g} times the recipe's ({number + 1} of {len(plan.searches)})"
        )
        try:
            folder = _trained(plan, run, observer)
            loss = read_json(folder / "evaluation.json", allows_nan=True)["objective"].get("loss", float("nan"))
        except Diverged as error:
            observer.on_line(str(error))
            loss = float("inf")
        rate = run.resolved.value("training.optimizer.learning_rate")
        losses.setdefault(run.arm, {})[rate] = loss if loss == loss else float("inf")
    rates = {arm: min(found, key=lambda rate: (found[rate], rate)) for arm, found in losses.items()}
    for arm, rate in rates.items():
        observer.on_line(f"learning rate of {arm}: {rate:g}")
    return replace(plan, rates=rates)


def _carried_out(plan: StudyPlan, observer: WorkObserver) -> tuple[dict[str, list[FinishedRun]], list[str]]:
    """Arm -> its finished runs, a seed each; and a sentence for each that diverged, which leaves its arm without the
    figures that it would have given."""
    runs = plan.runs
    folders = {run.folder(plan.request.out).path for run in runs}
    waiting = [folder for folder in folders if not is_finished(folder)]
    observer.on_line(f"{listed_runs(runs)}; of {len(folders)} to train {len(folders) - len(waiting)} finished before")
    if len(waiting) > 1 and plan.scale.budget.amount > 100_000:
        left = seconds_needed(plan) * len(waiting) / len(folders)
        observer.on_line(f"about {left / 60:.0f} minutes of training here")
    made: dict[str, list[FinishedRun]] = {}
    diverged: list[str] = []

    def asked(name: str, seed: int, found: FinishedRun, model: Path) -> FinishedRun:
        try:
            return replace(found, tasks=answered(plan, plan.study.arms[name], model, seed, observer))
        except Diverged as error:
            diverged.append(f"{name}, seed {seed}, labelled tasks: {error}.")
            return found

    for number, run in enumerate(runs, start=1):
        observer.on_line(f"run {number} of {len(runs)}: {run.arm}, seed {run.seed}")
        found = FinishedRun(None)
        try:
            folder = _trained(plan, run, observer)
            found = asked(run.arm, run.seed, FinishedRun(folder), folder)
        except Diverged as error:
            diverged.append(f"{run.arm}, seed {run.seed}: {error}.")
        made.setdefault(run.arm, []).append(found)
        if run.arm == plan.study.reference and run.seed == plan.scale.seeds - 1:
            _tell_power(plan, made[run.arm], observer)
    first = [run.folder(plan.request.out).path for run in runs if run.arm == plan.study.reference]
    for name, arm in plan.study.arms.items():
        if not arm.is_pretrained:
            made[name] = [
                asked(name, seed, FinishedRun(None), one) if is_finished(one) else FinishedRun(None)
                for seed, one in enumerate(first[: plan.scale.seeds])
            ]
        if arm.ensemble > 1:
            teams = [made[name][seed :: plan.scale.seeds] for seed in range(plan.scale.seeds)]
            made[name] = [
                together(plan, team) if all(one.tasks for one in team) else FinishedRun(None, members=team)
                for team in teams
            ]
    for line in diverged:
        observer.on_note(line)
    return made, diverged


def _trained(plan: StudyPlan, run: PlannedRun, observer: WorkObserver) -> Path:
    """The folder of the finished run. Raises Stopped where a signal came."""
    folder = run.folder(plan.request.out)
    if not is_finished(folder.path):
        result = pretrain(
            run.resolved, run.store, folder, observers=[observer], device=plan.device, closing=plan.closing
        )
        if result.outcome.state != "finished":
            raise Stopped(result.outcome.exit_code)
    return folder.path


def _tell_power(plan: StudyPlan, made: list[FinishedRun], observer: WorkObserver) -> None:
    """After the first arm: the smallest difference that the study will see."""
    decision = plan.study.decision
    values = [one.value for run in made if (one := measured(decision.measure, run)) is not None]
    if len(values) > 1 and statistics.stdev(values) > 0:  # seeds that agree by chance promise nothing
        comparisons = len(plan.study.expectations)
        seen = smallest_seen(statistics.stdev(values), len(values), comparisons=comparisons)
        observer.on_line(
            f"{plan.study.reference}: {decision.measure} {statistics.mean(values):.4f} over {len(values)} seeds; if "
            f"the others vary as much, differences of {seen:.4f} will be seen (of interest: {decision.smallest:g})"
        )
