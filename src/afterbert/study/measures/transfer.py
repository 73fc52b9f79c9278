"""The main metric of labelled tasks in languages that were not trained on."""

from statistics import mean

from afterbert.base.small_files import read_json_object
from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class TransferScore(Measure):
    """Reads results.json of each fine-tuning; the mean over languages and tasks. None if no task's files tell another
    language than that of its training rows."""

    title = "tasks in languages without training rows"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        scores = []
        for name, folder in run.tasks.items():
            found = read_json_object(folder / "results.json")["tasks"][name]
            told = found["languages"]
            others = [split for split, code in told.items() if code != told.get("dev")]
            scores += [next(iter(found["splits"][split]["metrics"].values()))["mean"] for split in others]
        return Measurement(mean(scores)) if scores else None
