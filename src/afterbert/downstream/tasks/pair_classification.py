"""Two texts, one of several classes: entailment, paraphrase, whether a sentence answers a question (SNLI,
MRPC, QNLI)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from afterbert.downstream.columns import profile
from afterbert.downstream.example import Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.tasks import Head, Task
from afterbert.downstream.tasks._classes import class_label, class_metrics, label_names, majority, read_class


@dataclass(frozen=True)
class PairClassification(Task):
    """texts: first and second. label and prediction: a class name. label_words: class -> the word a
    text-to-text model writes for it."""

    parts: ClassVar[tuple[str, ...]] = ("first", "second", "label")
    label_part: ClassVar[str | None] = "label"
    head: ClassVar[Head] = "pooled"
    precedence: ClassVar[int] = 3
    text_names: ClassVar[tuple[str, ...]] = ("sentence1", "sentence2")

    labels: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    label_words: dict[str, str] = field(default_factory=dict)

    def example(
        self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings
    ) -> Example:
        """Both texts and the class name."""
        texts = tuple(str(record.get(columns[part]) or "") for part in ("first", "second"))
        label = record.get(columns["label"]) if "label" in columns else None
        return Example(key, texts, class_label(label))

    def fits(self, table: Table, columns: Mapping[str, str]) -> bool:
        """Labels that are no grades."""
        return profile(table.column(columns["label"])) != "number"

    def settled(self, examples: Sequence[Example]) -> PairClassification:
        """Labels from the examples, metrics from the labels."""
        labels = self.labels or label_names(examples)
        return replace(self, labels=labels, metrics=self.metrics or class_metrics(labels))

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """The most frequent class."""
        return majority(train, examples, self.labels)

    def target_text(self, label: Any) -> str:
        """The class name, or its word."""
        return self.label_words.get(label, label)

    def read_answer(self, written: str) -> Any:
        """The class of that name."""
        return read_class(written, self.labels, self.label_words)

    def is_answer(self, prediction: Any) -> bool:
        """One of the classes."""
        return prediction in self.labels

    def invented(self) -> tuple[Example, ...]:
        """What follows from what."""
        rows = [
            ("a dog runs on the beach", "an animal is outside", "follows"),
            ("a dog runs on the beach", "the dog is asleep", "contradicts"),
            ("two girls eat apples", "children eat fruit", "follows"),
            ("two girls eat apples", "nobody eats", "contradicts"),
            ("the old man reads a letter", "someone reads", "follows"),
            ("the old man reads a letter", "the man is young", "contradicts"),
            ("it rains on the green hill", "the hill is wet", "follows"),
            ("it rains on the green hill", "the sun shines and it is dry", "contradicts"),
        ]
        return tuple(Example(f"invented:{i}", (a, b), label) for i, (a, b, label) in enumerate(rows))
