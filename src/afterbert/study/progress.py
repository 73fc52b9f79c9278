"""How far the studies below a folder are, from what their runs say of themselves."""

from dataclasses import dataclass
from pathlib import Path

from afterbert.base.errors import UserError
from afterbert.base.runs import Metrics, RunFolder
from afterbert.base.small_files import read_json_object


@dataclass(frozen=True)
class StudyProgress:
    """A study's runs: how many there are, and are finished; the share of all steps that is done; the seconds of
    training that are left at the speed so far, None if none has begun."""

    name: str
    scale: str
    folder: Path
    runs: int
    finished: int
    share: float
    seconds_left: float | None
    has_results: bool


def progress_of(root: Path, name: str | None = None) -> list[StudyProgress]:
    """Returns the progress of the studies in `root/studies`, or of `name` alone. Raises UserError for a broken file."""
    found = []
    for path in sorted((root / "studies").glob("*/plan.json")):
        told = read_json_object(path)
        try:
            study, scale = str(told["study"]), str(told["scale"])
            folders = [*map(str, told["searches"]), *(str(run["folder"]) for run in told["runs"])]
        except (KeyError, TypeError):
            raise UserError(f"{path} is no plan of a study; give the study's command again to write it anew") from None
        if name is None or study == name:
            each = [root / folder for folder in dict.fromkeys(folders)]  # arms may share a run
            found.append(_progress(study, scale, path.parent, each))
    return found


def is_finished(folder: Path) -> bool:
    """Returns whether a run has come to its end and left its figures."""
    status = RunFolder(folder).status()
    return status is not None and status.state == "finished" and (folder / "evaluation.json").is_file()


def share_done(run: Path) -> float:
    """Returns the share of a run's training that is done; 1 when its figures are there too."""
    status = RunFolder(run).status()
    share = 1.0 if is_finished(run) else 0.0
    if not share and status is not None and status.total_steps:
        share = min(0.99, status.step / status.total_steps)
    return share


def _progress(name: str, scale: str, folder: Path, runs: list[Path]) -> StudyProgress:
    shares, seconds = [], 0.0
    for run in runs:
        share = share_done(run)
        shares.append(share)
        if share:
            steps = [one for one in Metrics(run / "metrics.jsonl").read() if one["kind"] == "step"]
            seconds += float(steps[-1]["seconds"]) if steps else 0.0
    done = sum(shares)
    left = seconds / done * (len(runs) - done) if done and seconds else None
    return StudyProgress(
        name,
        scale,
        folder,
        len(runs),
        sum(share == 1.0 for share in shares),
        done / max(len(runs), 1),
        left,
        (folder / "results.json").is_file(),
    )
