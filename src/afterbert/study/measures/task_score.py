"""The main metric of labelled tasks after fine-tuning, on their test rows where there are labelled ones, else dev."""

import json
from pathlib import Path

from afterbert.base.sealed import read_sealed
from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class TaskScore(Measure):
    """Reads results.json of each fine-tuning; the mean over tasks. Of accuracies the rows are known one by one."""

    title = "fine-tuned tasks"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = [_task(folder, name) for name, folder in run.tasks.items()]
        if not found:
            return None
        value = sum(one.value for one in found) / len(found)
        alone = found[0] if len(found) == 1 else Measurement(value)
        return Measurement(value, alone.scores, alone.counts)


def _task(folder: Path, name: str) -> Measurement:
    results = read_sealed(folder / "results.json", remedy="delete the folder to have it made again")["tasks"][name]
    split = next(split for split in ("test", "dev") if split in results["splits"])
    metric, spread = next(iter(results["splits"][split]["metrics"].items()))
    if metric != "accuracy":
        return Measurement(spread["mean"])
    (seed,) = folder.glob("seed-*")
    lines = (seed / "predictions" / f"{name}.{split}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for line in lines if (row := json.loads(line))["label"] is not None]
    right = tuple(float(row["prediction"] == row["label"]) for row in rows)
    return Measurement(spread["mean"], right, (1.0,) * len(right))
