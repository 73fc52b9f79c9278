"""A study carried out: its runs, one after the other or several at once, then results that pages are made of."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.base.small_files import read_json
from afterbert.study.engines import Engine
from afterbert.study.made import FinishedRun
from afterbert.study.plan import PlannedRun, StudyPlan, listed_runs, seconds_needed
from afterbert.study.results import StudyResults, collected, measured, write_results
from afterbert.study.statistics import smallest_seen
from afterbert.workflows.finetune_request import FinetuneRequest, run_setup, set_up
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.pretraining import pretrain


@dataclass(frozen=True)
class StudyOutcome:
    """What a study came to. results: None where a signal stopped it; the same call goes on."""

    plan: StudyPlan
    results: StudyResults | None
    exit_code: int = 0

    @property
    def folder(self) -> Path:
        return self.plan.folder


class _Stopped(Exception):
    """A signal came, and the run it came in has saved everything."""

    def __init__(self, exit_code: int):
        self.exit_code = exit_code


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
        made = _carried_out(plan, observer)
    except _Stopped as stopped:
        return StudyOutcome(plan, None, stopped.exit_code)
    results = collected(plan, made)
    write_results(plan.folder / "results.json", results)
    return StudyOutcome(plan, results)


def _left_to(engine: Engine, plan: StudyPlan, runs: Sequence[PlannedRun], observer: WorkObserver) -> bool:
    """Whether an engine has done all of these runs; what is finished is not given to it."""
    words = [*plan.request.words, "--only"]
    waiting = [run.folder(plan.request.out).path for run in runs]
    commands = [[*words, folder.name] for folder in waiting if not is_finished(folder)]
    plan.folder.mkdir(parents=True, exist_ok=True)
    return not commands or engine(commands, folder=plan.folder, observer=observer)


def run_one(plan: StudyPlan, name: str, *, observer: WorkObserver | None = None) -> int:
    """Carries out the one run whose folder is called so, with its fine-tuning, and gives the exit code. Raises
    UserError."""
    observer = observer or WorkObserver()
    try:
        if name not in (folders := {run.folder(plan.request.out).path.name: run for run in plan.searches}):
            plan = _searched(plan, observer)
            folders = {run.folder(plan.request.out).path.name: run for run in plan.runs}
        if name not in folders:
            raise UserError(f"the study has no run {name}; its runs are {', '.join(folders)}")
        folder = _trained(plan, folders[name], observer)
        if folders[name].factor is None:
            _tuned(plan, folder, folders[name].seed, observer)
    except _Stopped as stopped:
        return stopped.exit_code
    return 0


def is_finished(folder: Path) -> bool:
    """Whether a run has come to its end and left its figures."""
    status = RunFolder(folder).status()
    return status is not None and status.state == "finished" and (folder / "evaluation.json").is_file()


def _searched(plan: StudyPlan, observer: WorkObserver) -> StudyPlan:
    """The plan with the learning rate that served each arm's own held-out loss best."""
    losses: dict[str, dict[float, float]] = {}
    for number, run in enumerate(plan.searches):
        observer.on_line(
            f"learning rate of {run.arm}, {run.factor:g} times the recipe's ({number + 1} of {len(plan.searches)})"
        )
        folder = _trained(plan, run, observer)
        loss = read_json(folder / "evaluation.json", allows_nan=True)["objective"].get("loss", float("nan"))
        rate = run.resolved.value("training.optimizer.learning_rate")
        losses.setdefault(run.arm, {})[rate] = loss if loss == loss else float("inf")
    rates = {arm: min(found, key=lambda rate: (found[rate], rate)) for arm, found in losses.items()}
    for arm, rate in rates.items():
        observer.on_line(f"learning rate of {arm}: {rate:g}")
    return replace(plan, rates=rates)


def _carried_out(plan: StudyPlan, observer: WorkObserver) -> dict[str, list[FinishedRun]]:
    """Arm -> its finished runs, a seed each."""
    runs = plan.runs
    waiting = [run for run in runs if not is_finished(run.folder(plan.request.out).path)]
    observer.on_line(f"{listed_runs(runs)}, {len(runs) - len(waiting)} of them finished before")
    if len(waiting) > 1 and plan.scale.budget.amount > 100_000:
        observer.on_line(f"about {seconds_needed(plan) * len(waiting) / len(runs) / 60:.0f} minutes of training here")
    made: dict[str, list[FinishedRun]] = {}
    for number, run in enumerate(runs, start=1):
        observer.on_line(f"run {number} of {len(runs)}: {run.arm}, seed {run.seed}")
        folder = _trained(plan, run, observer)
        made.setdefault(run.arm, []).append(FinishedRun(folder, _tuned(plan, folder, run.seed, observer)))
        if run.arm == plan.study.reference and run.seed == plan.scale.seeds - 1:
            _tell_power(plan, made[run.arm], observer)
    for name, arm in plan.arms.items():
        if not arm.arm.is_pretrained:
            models = [one.folder for one in made[plan.study.reference]]
            made[name] = [
                FinishedRun(None, _tuned(plan, model, seed, observer, from_scratch=True))
                for seed, model in enumerate(models)
                if model is not None
            ]
    return made


def _trained(plan: StudyPlan, run: PlannedRun, observer: WorkObserver) -> Path:
    """The folder of the finished run. Raises _Stopped where a signal came."""
    folder = run.folder(plan.request.out)
    if not is_finished(folder.path):
        result = pretrain(
            run.resolved, run.store, folder, observers=[observer], device=plan.device, closing=plan.closing
        )
        if result.outcome.state != "finished":
            raise _Stopped(result.outcome.exit_code)
    return folder.path


def _tuned(
    plan: StudyPlan, model: Path, seed: int, observer: WorkObserver, *, from_scratch: bool = False
) -> Mapping[str, Path]:
    """Task -> folder of its fine-tuning from this model. Raises _Stopped where a signal came."""
    found = {}
    for task in plan.request.tasks:
        settings = {**plan.scale.finetune, "seed": str(seed), "num_seeds": "1"}
        request = FinetuneRequest(
            model=str(model),
            tasks=(task,),
            epochs=plan.scale.epochs,
            from_scratch=from_scratch,
            overrides=tuple(settings.items()),
        )
        setup = set_up(request)
        name = setup.bench.tasks[0].name
        setup = replace(setup, out=plan.request.out / setup.out.name)
        if not (setup.out / "results.json").is_file():
            begins = "random weights" if from_scratch else model.name
            observer.on_line(f"fine-tuning on {name} from {begins}, seed {seed}")
        done = run_setup(setup, observer=_Quiet(), device=plan.device)
        if done.exit_code:
            raise _Stopped(done.exit_code)
        found[name] = setup.out
    return found


def _tell_power(plan: StudyPlan, made: list[FinishedRun], observer: WorkObserver) -> None:
    """After the first arm: the smallest difference that the study will see."""
    decision = plan.study.decision
    values = [one.value for run in made if (one := measured(decision.measure, run)) is not None]
    if len(values) > 1:
        comparisons = len(plan.study.expectations)
        seen = smallest_seen(statistics.stdev(values), len(values), comparisons=comparisons)
        observer.on_line(
            f"{plan.study.reference}: {decision.measure} {statistics.mean(values):.4f} over {len(values)} seeds; if "
            f"the others vary as much, differences of {seen:.4f} will be seen (of interest: {decision.smallest:g})"
        )


class _Quiet(WorkObserver):
    """Fine-tuning is one line of a study."""
