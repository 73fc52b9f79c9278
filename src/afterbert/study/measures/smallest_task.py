"""The main metric of the labelled task that has the fewest training rows, of several learned together."""

from afterbert.study.made import FinishedRun, Measurement, TaskAnswers
from afterbert.study.measures import Measure


class SmallestTask(Measure):
    """Reads results.json, whose mix tells how many rows each task has. None where each task had a model of its own."""

    title = "the task with the fewest rows"
    asked_by = "--task NAME:PATH"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = {name: TaskAnswers.read(folder, name) for name, folder in run.tasks.items()}
        sizes = {name: answers.sizes.get(name) for name, answers in found.items()}
        known = {name: size for name, size in sizes.items() if size is not None}
        if not known or len(known) < len(found):
            return None
        return Measurement(found[min(known, key=lambda name: known[name])].value)
