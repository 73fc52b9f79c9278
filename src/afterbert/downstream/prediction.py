"""What a model answers to one row, and how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FoundSpan:
    """A stretch of a text that a model points at: an entity, or an answer."""

    text: str
    start: int
    """The character at which it begins, from 0."""
    end: int
    """The character behind its last."""
    label: str = ""
    """The kind of an entity."""
    confidence: float | None = None


@dataclass(frozen=True)
class Prediction:
    """An answer to one row."""

    value: Any
    """A class or several, a number, a text, a place, an order, or a tag for each word: in the terms of the task."""
    confidence: float | None = None
    """The chance that the model gives its answer: of a class its probability, of tags that of the word it is least sure
    of, of a span that of its two ends together. None if nothing of the kind is computed."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Label -> its probability, for tasks that choose one or several labels for a row; empty for others."""
    scores: tuple[float, ...] = ()
    """The score of each candidate before the softmax, for tasks that order candidates."""
    entities: tuple[FoundSpan, ...] | None = None
    """For tags that mark entities; offsets count in the words joined by single spaces, or in the text that they were
    found in. None for all other tasks."""
    span: FoundSpan | None = None
    """The answer's place in the context; None if there is no answer, and for all other tasks."""
    words: tuple[str, ...] | None = None
    """What was tagged, where the words were found in a running text."""

    def plain(self) -> dict[str, Any]:
        """Returns name -> value as a file holds them: only what the kind of task has, with the same names for each of
        its rows."""
        found: dict[str, Any] = {"prediction": self.value}
        if self.confidence is not None:
            found["confidence"] = round(self.confidence, 6)
        if self.probabilities:
            found["probability"] = {name: round(chance, 6) for name, chance in self.probabilities.items()}
        if self.words is not None:
            found["words"] = self.words
        if self.entities is not None:
            found["entities"] = [_plain(one) for one in self.entities]
        return found


def _plain(span: FoundSpan) -> dict[str, Any]:
    found: dict[str, Any] = {"label": span.label, "text": span.text, "start": span.start, "end": span.end}
    return found if span.confidence is None else found | {"confidence": round(span.confidence, 6)}
