"""The main metric of labelled tasks, on their test rows where there are labelled ones, else dev."""

import json
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from afterbert.study.made import FinishedRun, Measurement, TaskAnswers
from afterbert.study.measures import Measure


class TaskScore(Measure):
    """Reads results.json of what answered each task; the mean over tasks. Of the accuracy of one the rows are known one
    by one, and the most frequent label is what a model gets that learned nothing."""

    title = "labelled tasks"
    asked_by = "--task NAME:PATH"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = [TaskAnswers.read(folder, name) for name, folder in run.tasks.items()]
        if not found:
            return None
        rows = found[0].rows if len(found) == 1 and found[0].metric == "accuracy" else ()
        right = tuple(float(row["prediction"] == row["label"]) for row in rows)
        return Measurement(
            fmean(one.value for one in found),
            right,
            counts=(1.0,) * len(right),
            keys=tuple(str(row["key"]) for row in rows),
            floor=_most_frequent([json.dumps(row["label"]) for row in rows]) if rows else None,
        )


def _most_frequent(labels: Sequence[str]) -> float:
    return max(Counter(labels).values()) / len(labels)
