"""How large the models are that answer labelled tasks."""

from pathlib import Path
from statistics import fmean

from afterbert.base.small_files import read_json_object
from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class TaskModelBytes(Measure):
    """Weights on disk, the mean over tasks: what compression.json says, else the weight files of a fine-tuning. None
    where a model was only told its task, where several answered, and where a strategy taught tasks together."""

    title = "weights of a task's model"
    unit = "bytes"
    higher_is_better = False
    is_cost = True

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = [_bytes(folder) for folder in run.tasks.values()]
        return Measurement(fmean(found)) if found and all(found) else None


def _bytes(folder: Path) -> float:
    told = folder / "compression.json"
    if told.is_file():
        return float(read_json_object(told)["rows"][-1]["bytes"])
    return float(sum(path.stat().st_size for path in folder.glob("seed-*/model/*.safetensors")))
