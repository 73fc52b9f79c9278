"""A stretch of a context that answers a question, or none (SQuAD 1.1 and 2.0, XQuAD, CMRC 2018)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from afterbert.downstream.example import AnswerSpan, Baseline, Example, Findings
from afterbert.downstream.formats import Table
from afterbert.downstream.metrics import Metric
from afterbert.downstream.metrics._answers import Style
from afterbert.downstream.metrics.answer_f1 import AnswerF1
from afterbert.downstream.metrics.exact_match import ExactMatch
from afterbert.downstream.reading.cells import held_in
from afterbert.downstream.reading.columns import Held, holds_flags
from afterbert.downstream.tasks import Task

_MOVED = "answers that do not stand at their answer_start (moved to the nearest place where they do)"
_ABSENT = "answers that do not stand in their context (scored, but not trained on)"
_SENTENCE = re.compile(r"[^.!?。！？।॥؟۔]+[.!?。！？।॥؟۔]*")


@dataclass(frozen=True)
class QuestionAnswering(Task):
    """texts: question and context. label: a tuple of `AnswerSpan`, empty if there is none. prediction: a text, empty
    for none."""

    parts: ClassVar[tuple[str, ...]] = ("question", "context", "answers")
    label_part: ClassVar[str | None] = "answers"
    answer: ClassVar[str] = "span"
    usual_head: ClassVar[str | None] = "span"
    column_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "question": ("question",),
        "context": ("context", "passage", "paragraph"),
        "answers": ("answers", "answer"),
    }
    precedence: ClassVar[int] = 6
    text_names: ClassVar[tuple[str, ...]] = ("question", "context")

    style: Style = "auto"
    """How answers are compared: `squad` by words, `cmrc` by characters; left out: by characters if most answers of the
    set are Chinese."""
    may_be_unanswerable: bool | None = None
    """Whether a model may answer with nothing; left out: whether any training question has no answer."""
    metrics: tuple[Metric, ...] = ()

    def fits(self, table: Table, columns: Mapping[str, str]) -> bool:
        """Returns whether the answers are texts, not yes and no."""
        return not holds_flags(table.column(columns["answers"]))

    def offer(self, held: Held) -> dict[str, str]:
        return dict(zip(self.parts, held.texts[:3]))

    def example(self, record: Mapping[str, Any], columns: Mapping[str, str], key: str, findings: Findings) -> Example:
        """Returns question, context and answers; an answer that does not stand at its start is looked for."""
        texts = (str(record.get(columns["question"]) or ""), str(record.get(columns["context"]) or ""))
        written = record.get(columns["answers"]) if "answers" in columns else None
        if written is None:
            return Example(key, texts, None)
        answers, pairs = [], _written_answers(held_in(written))
        if pairs is None:
            findings.add("answers that are not written as text and answer_start (left out)", key)
            return Example(key, texts, None)
        for text, start in pairs:
            stands_at = nearest(text, texts[1], start)
            if stands_at is None:
                findings.add(_ABSENT, key)
            elif start is not None and stands_at != start:
                findings.add(_MOVED, key)
            answers.append(AnswerSpan(text, stands_at))
        return Example(key, texts, tuple(answers))

    def kept_together(self, example: Example) -> tuple[str, ...]:
        """Returns the context: a model that has read it with one question knows it for the next."""
        return example.texts[1:]

    def settled(self, examples: Sequence[Example]) -> QuestionAnswering:
        empty = any(example.label == () for example in examples)
        return replace(
            self,
            may_be_unanswerable=empty if self.may_be_unanswerable is None else self.may_be_unanswerable,
            metrics=self.metrics or (AnswerF1(self.style), ExactMatch(self.style)),
        )

    def baseline(self, train: Sequence[Example], examples: Sequence[Example]) -> Baseline:
        """Returns the sentence of the context that is most similar to the question; or no answer to anything, where
        that is better on `train`."""
        labelled = [example for example in train if example.label is not None]
        if self.may_be_unanswerable and labelled:
            truths = [example.label for example in labelled]
            nothing = self.metrics[0]([""] * len(truths), truths)
            if nothing >= self.metrics[0]([likest_sentence(*e.texts[:2]) for e in labelled], truths):
                return Baseline("never an answer", ("",) * len(examples))
        guesses = tuple(likest_sentence(*example.texts[:2]) for example in examples)
        return Baseline("the sentence that shares most with the question", guesses)

    def target_text(self, label: Any) -> str:
        return label[0].text if label else ""

    def read_answer(self, written: str) -> Any:
        return written.strip()


def _written_answers(value: Any) -> list[tuple[str, int | None]] | None:
    """SQuAD's list of objects, the hub's object of two lists, or bare texts; None for anything else.

    >>> _written_answers([{"text": "a", "answer_start": 3}, "b"]), _written_answers({"text": ["a"]})
    ([('a', 3), ('b', None)], [('a', None)])
    >>> _written_answers({"text": "a", "answer_start": 3}), _written_answers([{"answer_start": 3}])
    ([('a', 3)], None)
    """
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start")
        if isinstance(texts, (list, tuple)):
            starts = [None] * len(texts) if starts is None else starts
            pairs = list(zip(texts, starts)) if isinstance(starts, (list, tuple)) else [(None, None)]
        else:
            pairs = [(texts, starts)]
    elif isinstance(value, (list, tuple)):
        pairs = [
            (one.get("text"), one.get("answer_start")) if isinstance(one, Mapping) else (one, None) for one in value
        ]
    else:
        pairs = [(str(value), None)] if str(value) else []
    if any(text is None or not isinstance(start, (int, type(None))) for text, start in pairs):
        return None
    return [(str(text), start) for text, start in pairs]


def nearest(text: str, context: str, start: int | None) -> int | None:
    """Finds where `text` begins in `context`: at `start` if it does, else at the nearest place; None if it is not in
    it.

    >>> nearest("ab", "ab ab ab", 3), nearest("ab", "ab ab ab", 5), nearest("x", "ab", 0)
    (3, 6, None)
    """
    start = max(0, start or 0)
    if text and context.startswith(text, start):
        return start
    places = [found.start() for found in re.finditer(f"(?={re.escape(text)})", context)] if text else []
    return min(places, key=lambda place: abs(place - start), default=None)


def likest_sentence(question: str, context: str) -> str:
    """Returns the sentence of the context that holds the largest share of the question's character trigrams, or the
    first of several.

    >>> likest_sentence("दिल्ली कहाँ है?", "आगरा दूर है। दिल्ली उत्तर में है।")
    'दिल्ली उत्तर में है।'
    """
    wanted = {question[i : i + 3].lower() for i in range(len(question) - 2)}
    sentences = [found.strip() for found in _SENTENCE.findall(context)] or [context]
    return max(sentences, key=lambda text: len(wanted & {text[i : i + 3].lower() for i in range(len(text) - 2)}))
