"""One text, one of several classes (SST-2, CoLA, TREC, intents)."""

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
class SentenceClassification(Task):
    """texts: the sentence. label and prediction: a class name. label_words: class -> the word a text-to-text
    model writes for it.

    >>> task = SentenceClassification().settled(SentenceClassification().invented())
    >>> task.labels, [metric.name for metric in task.metrics]
    (('negative', 'positive'), ['accuracy', 'f1_macro', 'matthews'])
    """

    parts: ClassVar[tuple[str, ...]] = ("text", "label")
    label_part: ClassVar[str | None] = "label"
    head: ClassVar[Head] = "pooled"
    precedence: ClassVar[int] = 1
    text_names: ClassVar[tuple[str, ...]] = ("sentence",)

    labels: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    label_words: dict[str, str] = field(default_factory=dict)

    def example(
        self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings
    ) -> Example:
        """Text and class name."""
        label = record.get(columns["label"]) if "label" in columns else None
        return Example(key, (str(record.get(columns["text"]) or ""),), class_label(label))

    def fits(self, table: Table, columns: Mapping[str, str]) -> bool:
        """Labels that are no grades."""
        return profile(table.column(columns["label"])) != "number"

    def settled(self, examples: Sequence[Example]) -> SentenceClassification:
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
        """Opinions on food."""
        rows = [
            ("the soup was warm and lovely", "positive"),
            ("cold bread and a rude waiter", "negative"),
            ("we loved every dish", "positive"),
            ("the fish tasted of soap", "negative"),
            ("a charming little place with great coffee", "positive"),
            ("never again , the worst pie in town", "negative"),
            ("friendly people and fresh salad", "positive"),
            ("burnt , late and far too expensive", "negative"),
        ]
        return tuple(Example(f"invented:{i}", (text,), label) for i, (text, label) in enumerate(rows))
