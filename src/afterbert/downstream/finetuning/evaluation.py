"""A fine-tuned model asked about other rows: a test set that came later, another language, another domain."""

from dataclasses import dataclass, replace
from pathlib import Path

from afterbert.base import plugins
from afterbert.base.errors import UserError, did_you_mean
from afterbert.downstream.figures.results import TaskResult, summarize, write_results, write_split
from afterbert.downstream.finetuning.prediction import Answerer
from afterbert.downstream.finetuning.saving import Loaded
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.reading.data import TaskData, read
from afterbert.downstream.reading.source import TaskSource


@dataclass(frozen=True)
class Evaluated:
    """A model's answers to rows, and how good they are."""

    data: TaskData
    """What was read."""
    answered: dict[str, list[Prediction]]
    """Split -> one for each row with text."""
    result: TaskResult
    """Figures of the labelled splits."""


def evaluate(loaded: Loaded, source: TaskSource, *, task: str | None = None) -> Evaluated:
    """Predicts all splits of `source` (a training split too, if there is one) with the head of `task`, which
    may be left out where the model has one. Labels are the model's own: those it never saw count as wrong.
    Raises UserError where kinds do not match.
    """
    name = task_name(loaded, task)
    mine, kind = loaded.tasks[name], plugins.name_of(source.task)
    if type(source.task) is not type(mine):
        raise UserError(
            f"{source.name} is {kind.replace('_', ' ')}, but the model answers "
            f"{plugins.name_of(mine).replace('_', ' ')}; name rows of that kind, or say --kind"
        )
    data = read(replace(source, task=mine), needs_training=False)
    answerer = Answerer(loaded, name)
    answered: dict[str, list[Prediction]] = {}
    for split, rows in data.splits.items():
        readable = [example for example in rows if mine.has_text(example)]
        if readable:
            answered[split] = replace(answerer, language=data.language_of(split))(readable)
    if not answered:
        raise UserError(f"{source.name}: no row has a text; check the columns")
    predictions = {split: [one.value for one in told] for split, told in answered.items()}
    return Evaluated(data, answered, summarize(data, [predictions], is_written=loaded.heads[name].writes))


def write_evaluated(folder: Path, done: Evaluated, *, model: str) -> None:
    """Writes `results.json` and `predictions/TASK.SPLIT.jsonl`."""
    folder.joinpath("predictions").mkdir(parents=True, exist_ok=True)
    write_results(folder / "results.json", [done.result], {"model": model, "notes": list(done.data.notes)})
    for split, predictions in done.answered.items():
        rows = [row for row in done.data.splits[split] if done.data.task.has_text(row)]
        write_split(folder / "predictions" / f"{done.data.name}.{split}.jsonl", predictions, rows)


def task_name(loaded: Loaded, task: str | None) -> str:
    """Returns the name of the task: the one given, or the only one. Raises UserError."""
    known = list(loaded.tasks)
    if task is None and len(known) == 1:
        return known[0]
    if task not in known:
        said = f"has no task '{task}'" if task else f"answers {len(known)} tasks"
        raise UserError(f"the model {said}; name one with --as: {did_you_mean(task or '', known)}")
    return task
