"""Downstream tasks: what their rows are, how a guess is scored, and what guessing without a model is worth."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.reading.columns import ReadsColumns


class Task(ReadsColumns):
    """A frozen config. Left empty, `labels` and `metrics` are decided by the training rows, once, in `settled`."""

    answer: ClassVar[str]
    """What a prediction is, in a word: a `class`, a `number`, an `order`. A head serves tasks by it."""
    usual_head: ClassVar[str | None]
    """The plug-in name of the head that answers it where none is asked for; None if no head does."""
    text_names: ClassVar[tuple[str, ...]]
    """What its texts are called where the task is posed as text."""
    metrics: tuple[Metric, ...]
    """How guesses are scored, the main metric first."""

    @abstractmethod
    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        """Returns one row as an example; columns: part -> column. Oddities are counted; the label is None if there is
        none that can be used."""

    @abstractmethod
    def settled(self, examples: Sequence[Example]) -> Task:
        """Gives the same task with nothing left open. Raises UserError if nothing can be learned from these
        examples."""

    @abstractmethod
    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Predicts without a model, by the best guess, for `examples`, from labelled `train` alone. Where that is
        empty the best constant guess is counted on `examples` themselves, and its name says so."""

    @abstractmethod
    def target_text(self, label: Any) -> str:
        """Returns a label as the text that a text-to-text model is to write."""

    @abstractmethod
    def read_answer(self, written: str) -> Any:
        """Returns the prediction that a written text stands for; a text that is no answer of this task gives a
        prediction that is always wrong."""

    def is_answer(self, prediction: Any) -> bool:
        """Returns whether a prediction read from a written text is one of this task's answers; any other is wrong."""
        return True

    def informed(self, table: Table, columns: Mapping[str, str]) -> Task:
        """Gives the same task with what the first file read, that for training, tells about how its rows are
        written, so that all files are read alike."""
        return self

    def finished(self, examples: Sequence[Example], findings: Findings, *, is_scored: bool) -> tuple[Example, ...]:
        """Gives the rows of a split, read before the task was settled, in the terms of the settled one. is_scored:
        whether it is a split other than train, where several rows may be one item."""
        return tuple(examples)

    def examples(self, table: Table, columns: Mapping[str, str], findings: Findings) -> tuple[Example, ...]:
        """Returns all rows of a table as examples; empty texts and missing labels are counted."""
        found = []
        for record, key in zip(table.records, table.keys):
            example = self.example(record, columns, key, findings)
            if not self.has_text(example):
                findings.add("rows with an empty text", key)
            if example.label is None:
                findings.add("rows without a label", key)
            found.append(example)
        return tuple(found)

    def has_text(self, example: Example) -> bool:
        """Returns whether every text of the example has something to read."""
        return bool(example.texts) and all(text.strip() for text in example.texts)

    def kept_together(self, example: Example) -> tuple[str, ...]:
        """Returns the texts by which rows are kept together: such rows are held out together, or not at all."""
        return example.texts

    def is_usable(self, example: Example) -> bool:
        """Returns whether the example can be trained on and scored: it has texts and a label."""
        return example.label is not None and self.has_text(example)

    def score(self, predictions: Sequence[Any], examples: Sequence[Example]) -> dict[str, float]:
        """Returns metric -> value, the main one first."""
        truths = [example.label for example in examples]
        return {metric.name: metric(predictions, truths) for metric in self.metrics}

    def source_text(self, example: Example, prefix: str) -> str:
        """Returns the row as one text under its prefix, as T5 writes it (Raffel et al. 2020, Appendix D).

        `cola sentence: The cat sat.`
        """
        named = (f"{name}: {text}" for name, text in zip(self.text_names, example.texts))
        return " ".join([prefix, *named] if prefix else named)


class Graded(Task):
    """A task whose labels are numbers from `low` to `high`; None until `settled`."""

    low: float | None
    high: float | None


class Labelled(Task):
    """A task whose labels are made of names from a fixed set: `labels`, empty until `settled`."""

    labels: tuple[str, ...]

    def counted(self, label: Any) -> list[tuple[str, Any]]:
        """Returns what a label says as pairs (class, which thing has it), for figures by class."""
        return [(str(label), None)]

    @property
    def marks_entities(self) -> bool:
        """Whether its labels are tags of a scheme that marks entities."""
        return False


def labels_of(task: Task) -> tuple[str, ...]:
    """Returns the names of a task's labels; empty if they are numbers, places or texts."""
    return task.labels if isinstance(task, Labelled) else ()
