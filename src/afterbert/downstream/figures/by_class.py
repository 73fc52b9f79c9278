"""How well each class is answered, and which is taken for which."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from afterbert.downstream.tasks import Labelled, Task


@dataclass(frozen=True)
class ClassFigures:
    """One class over all seeds."""

    precision: float
    """Of what was given this class, the share that has it; 0 where nothing was."""
    recall: float
    """Of what has this class, the share that was given it; 0 where nothing has."""
    f1: float
    """Their harmonic mean."""
    support: int
    """How many things have it, in one seed: rows, or words, or entities."""


def figures_by_class(task: Task, runs: Sequence[Sequence[Any]], truths: Sequence[Any]) -> dict[str, ClassFigures]:
    """Class -> its figures, from predictions [seeds][rows] and labels [rows]; none for tasks without classes.

    >>> from afterbert.downstream.tasks.sentence_classification import SentenceClassification
    >>> figures_by_class(SentenceClassification(labels=("a", "b")), [["a", "a", "b"]], ["a", "b", "b"])["b"]
    ClassFigures(precision=1.0, recall=0.5, f1=0.6666666666666666, support=2)
    """
    if not isinstance(task, Labelled):
        return {}
    right: Counter[str] = Counter()
    given: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for run in runs:
        for guess, truth in zip(run, truths, strict=True):
            found, wanted = Counter(task.counted(guess)), Counter(task.counted(truth))
            right.update(name for name, _ in (found & wanted).elements())
            given.update(name for name, _ in found.elements())
            there.update(name for name, _ in wanted.elements())
    order = [name for name in task.labels if name in there or name in given]
    order += sorted((there.keys() | given.keys()) - set(order))
    return {
        name: ClassFigures(
            right[name] / max(given[name], 1),
            right[name] / max(there[name], 1),
            2 * right[name] / max(given[name] + there[name], 1),
            there[name] // max(len(runs), 1),
        )
        for name in order
    }


def taken_for(task: Task, runs: Sequence[Sequence[Any]], truths: Sequence[Any]) -> dict[str, dict[str, int]]:
    """True class -> class that was given -> how often, over all seeds, for tasks that give each thing one class; else
    nothing."""
    counts: dict[str, Counter[str]] = {}
    if not isinstance(task, Labelled) or task.answer not in ("class", "tags") or task.marks_entities:
        return {}
    for run in runs:
        for guess, truth in zip(run, truths, strict=True):
            for (wanted, _), (found, _) in zip(task.counted(truth), task.counted(guess)):
                counts.setdefault(wanted, Counter())[found] += 1
    order = [*task.labels, *sorted(counts.keys() - set(task.labels))]
    return {name: dict(counts[name]) for name in order if name in counts}
