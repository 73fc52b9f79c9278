"""The main metric of labelled tasks in languages that were not trained on."""

from statistics import mean

from afterbert.base.small_files import read_json_object
from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class TransferScore(Measure):
    """Reads results.json of each fine-tuning; the mean over languages and tasks, and that of guessing. None if no
    task's files tell another language than that of its training rows."""

    title = "tasks in languages without training rows"
    asked_by = "--task NAME:PATH"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        scores, guesses = [], []
        for name, folder in run.tasks.items():
            found = read_json_object(folder / "results.json")["tasks"][name]
            told = found.get("languages", {})  # which only fine-tuning notes
            for one in (found["splits"][split] for split, code in told.items() if code != told.get("dev")):
                metric, values = next(iter(one["metrics"].items()))
                scores.append(values["mean"])
                guesses.append(one["baseline_metrics"][metric])
        return Measurement(mean(scores), floor=mean(guesses)) if scores else None
