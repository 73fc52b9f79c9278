"""What `study` and `compare` print."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from afterbert.api.terminal import console, safe, table
from afterbert.api.watch import Watch
from afterbert.base.errors import UserError
from afterbert.base.plugins import find
from afterbert.base.runs import write_atomically
from afterbert.report import figures
from afterbert.report.study_pages import said, write_index, write_study_page
from afterbert.study.design import known_studies, read_study
from afterbert.study.engines import Engine
from afterbert.study.plan import StudyPlan, listed_runs, planned
from afterbert.study.progress import progress_of
from afterbert.study.request import StudyRequest
from afterbert.study.running import run_one, run_study
from afterbert.study.writing import new_study
from afterbert.training.process_setup import set_up_process


def show_list() -> int:
    """Prints the studies that afterbert brings along."""
    made = table("study", "question", "arms")
    for name in known_studies():
        _, study = read_study(name)
        needs = " (--task)" if study.needs_tasks else ""
        needs += " (--parallel)" if study.needs_translations else ""
        needs += "".join(f" (plane {plane})" for plane in study.needs_planes)
        needs += "".join(f" (--text {text}=)" for text in study.texts)
        made.add_row(safe(name), safe(study.question + needs), safe(", ".join(study.arms)))
    console.print(made)
    return 0


def show_status(root: Path, name: str | None) -> int:
    """Prints how far the studies below `root` are."""
    found = progress_of(root, name)
    if not found:
        which = f"of {name} " if name else ""
        raise UserError(f"no study {which}was begun below {root}; start one: afterbert study NAME --text MINE")
    for one in found:
        left = (
            "" if one.seconds_left is None or one.has_results else f", about {figures.duration(one.seconds_left)} left"
        )
        state = f"finished, {one.folder / 'report.html'}" if one.has_results else f"{one.share:.0%} done{left}"
        console.print(safe(f"{one.name} ({one.scale}): {one.finished} of {one.runs} runs, {state}"))
    return 0


def write_pages(root: Path, folders: Sequence[Path]) -> int:
    """Pages of these study folders, or of all below `root`, and the index beside them."""
    places = list(folders) or [path.parent for path in sorted((root / "studies").glob("*/results.json"))]
    if not places:
        raise UserError(f"no study below {root} has results yet; see `afterbert study status`")
    for folder in places:
        print(write_study_page(folder))
    print(write_index(places[0].resolve().parent))
    return 0


def write_new(words: Sequence[str], question: str) -> int:
    """Writes a study file NAME.yaml in the working directory."""
    if len(words) < 3 or not question:
        raise UserError('write: afterbert study new NAME RECIPE_OR_RUN RECIPE_OR_RUN --question "..."')
    name, *sources = words
    out = Path(f"{name.removesuffix('.yaml')}.yaml")
    if out.exists():
        raise UserError(f"{out} is there already; choose another name")
    write_atomically(out, new_study(out.stem, sources, question=question))
    print(f"{out}: read it over, then: afterbert study {shlex.quote(str(out))} --text MINE")
    return 0


def carry_out(
    request: StudyRequest, more: Sequence[str], *, dry_run: bool, jobs: int | None, engine: str, only: str | None
) -> int:
    """Runs a study, or goes on with it, or carries out one run of it; 130 or 143 where a signal stopped it."""
    name = request.study
    if more:
        raise UserError(f"'{more[0]}' is not expected after {name}; texts are named by --text")
    read_study(name)
    if not request.texts:
        raise UserError(f"no text is named; write: afterbert study {name} --text my_texts/")
    carries_out = None if (engine, jobs) in (("here", None), ("here", 1)) else find(Engine, engine)(jobs)
    set_up_process()
    with Watch() as watch:
        plan = planned(request, observer=watch)
        if only is not None:
            return run_one(plan, only, observer=watch)
        _tell(plan)
        if dry_run:
            return 0
        done = run_study(plan, observer=watch, engine=carries_out)
    if done.results is None:
        console.print("stopped, everything saved; the same command goes on" if done.exit_code else "not finished yet")
        return done.exit_code
    deciding = done.results.measures.get(done.results.measure)
    for one in done.results.judged:
        console.print(safe(said(one, deciding)))
    print(f"report: {write_study_page(done.folder)}")
    print(f"index:  {write_index(done.folder.parent)}")
    return 0


def _tell(plan: StudyPlan) -> None:
    console.print(safe(plan.study.question))
    for name, arm in plan.arms.items():
        changed = "; ".join(f"{path}: {before} -> {after}" for path, (before, after) in arm.changes.items())
        console.print(safe(f"  {name}: {changed or 'the base'}"))
    console.print(
        safe(f"scale {plan.request.scale}: {listed_runs(plan.runs)}, {plan.budgets[plan.study.reference]} each")
    )
