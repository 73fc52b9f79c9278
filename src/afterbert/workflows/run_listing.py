"""The runs that lie on disk: what each one is, how far it came, what it takes; under another name, or gone."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.runs import RunFolder, check_name
from afterbert.base.sealed import read_sealed
from afterbert.base.small_files import may

ROOTS = (Path("runs"), Path("demo"))
_STORES = "stores"


@dataclass(frozen=True)
class ListedRun:
    """One folder below a root."""

    path: Path
    kind: str
    """`pre-training`, `fine-tuning`, `scores` or `stores`."""
    state: str
    """As the run itself says: `finished at step 300`; empty if it says nothing."""
    figure: str
    """Its main held-out figure; empty if there is none yet."""
    num_bytes: int
    """What it takes on disk, blocks counted once."""
    changed: float
    """Seconds since 1970."""


def listed_runs(roots: Sequence[Path] = ROOTS) -> list[ListedRun]:
    """Returns every run below the roots, the newest last. A root that is itself a run is listed too."""
    folders = [
        folder
        for root in roots
        if root.is_dir()
        for folder in ([root] if kind_of(root) else sorted(root.iterdir()))
        if folder.is_dir() and may(folder, os.R_OK | os.X_OK)
    ]
    found = [_listed(folder, kind) for folder in folders if (kind := kind_of(folder))]
    return sorted(found, key=lambda run: run.changed)


def kind_of(folder: Path) -> str:
    """Returns the verb that made a folder; empty for one that is no run."""
    if folder.name == _STORES and any(folder.glob("*/store.json")):
        return "stores"
    if any(folder.glob("seed-*/checkpoints")):
        return "fine-tuning"
    if (folder / "checkpoints").is_dir() and (folder / "recipe.yaml").is_file():
        return "pre-training"
    if folder.name.startswith(("score-", "cue-")) and (folder / "results.json").is_file():
        return "scores"
    return ""


def rename_run(run: Path, name: str) -> Path:
    """Gives a run another name in the folder where it lies; its store is still found. Raises UserError."""
    _check_run(run)
    new = run.parent / check_name(name)
    if os.path.lexists(new):
        raise UserError(f"{new} is there already; choose another name")
    with RunFolder(run).locked():
        run.rename(new)
        # The lock's file went along, and goes with the lock.
        (new / ".lock").unlink(missing_ok=True)
    return new


def remove_run(run: Path) -> int:
    """Removes a run that nobody is writing, and says how many bytes it took. Raises UserError."""
    _check_run(run)
    freed = disk_use(run)
    with RunFolder(run).locked():
        shutil.rmtree(run)
    return freed


def disk_use(folder: Path) -> int:
    """Returns the bytes that a folder takes on disk; files with several names count once, links are not followed."""
    seen: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                found = os.lstat(os.path.join(place, name))
            except FileNotFoundError:  # a run is being written
                continue
            seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


def _check_run(run: Path) -> None:
    if not run.is_dir():
        near = [str(one.path) for one in listed_runs()]
        raise UserError(f"there is no run {run}; {did_you_mean(str(run), near)}")
    if run.is_symlink():
        raise UserError(f"{run} is a link to {os.readlink(run)}; name the run itself")
    if not kind_of(run):
        raise UserError(f"{run} is no run that afterbert made, so it is left alone; `afterbert runs` lists them")


def _listed(folder: Path, kind: str) -> ListedRun:
    states = [_state(one) for one in sorted(folder.glob("seed-*"))] if kind == "fine-tuning" else [_state(folder)]
    finished = sum(state.startswith("finished") for state in states)
    state = states[0] if len(states) == 1 else f"{finished} of {len(states)} seeds finished"
    return ListedRun(folder, kind, state, _figure(folder), disk_use(folder), folder.stat().st_mtime)


def _state(folder: Path) -> str:
    status = RunFolder(folder).status()
    if status is None or not status.state:
        return ""
    return f"{status.state} at step {status.step:,}"


def _figure(folder: Path) -> str:
    """The first held-out figure of a run's results."""
    try:
        if (folder / "results.json").is_file():
            return _main_metric(read_sealed(folder / "results.json", remedy=""))
        if (folder / "evaluation.json").is_file():
            measures = read_sealed(folder / "evaluation.json", remedy="", allows_nan=True).get("measures", {})
            return f"masked accuracy {measures['masked_accuracy']:.1%}" if "masked_accuracy" in measures else ""
    except (UserError, KeyError, TypeError, AttributeError):  # damaged, or of another version
        return "unreadable"
    return ""


def _main_metric(results: dict[str, Any]) -> str:
    for name, task in results["tasks"].items():
        for split, found in task["splits"].items():
            metric, spread = next(iter(found["metrics"].items()))
            return f"{name} {split} {metric.replace('_', ' ')} {spread['mean']:.3f}"
    return ""
