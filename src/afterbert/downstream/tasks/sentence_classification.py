"""One text, one of several classes (SST-2, CoLA, TREC, intents)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from afterbert.downstream.example import Example
from afterbert.downstream.tasks._classes import Classification


@dataclass(frozen=True)
class SentenceClassification(Classification):
    """texts: the sentence.

    >>> task = SentenceClassification().settled(SentenceClassification().invented())
    >>> task.labels, [metric.name for metric in task.metrics]
    (('negative', 'positive'), ['accuracy', 'f1_macro', 'matthews'])
    """

    parts: ClassVar[tuple[str, ...]] = ("text", "label")
    precedence: ClassVar[int] = 1
    text_names: ClassVar[tuple[str, ...]] = ("sentence",)

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
