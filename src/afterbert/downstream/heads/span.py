"""A stretch of the context as the answer: where it starts and where it ends. Long contexts are read in
overlapping windows.

Source: BERT (1810.04805), Sections 4.2 and 4.3: no answer is the row's first piece as start and end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from scipy.special import logsumexp
from torch import Tensor
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows, ranges
from afterbert.downstream.example import Example
from afterbert.downstream.heads import Footing, Head, HeadModule, Outputs
from afterbert.downstream.posing.formatting import Formatter, Stretches
from afterbert.downstream.posing.prepared import Prepared, one_row_each
from afterbert.downstream.prediction import FoundSpan, Prediction
from afterbert.downstream.tasks import Task
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.task_class import Answering
from afterbert.nn.task_head import TaskHead
from afterbert.text.pieces.encoding import EncodedTexts


@dataclass(frozen=True)
class Span(Head):
    """Answers a question by a stretch of its context.

    Deviation: where questions always have an answer, windows without it are left out of training, instead of being
    taught the first piece.
    """

    answers: ClassVar[tuple[str, ...]] = ("span",)
    when_too_long: ClassVar[str] = "read in windows"
    is_by_piece: ClassVar[bool] = True

    stride: Annotated[int, Field(gt=0)] | None = None
    """How many pieces of context a window advances; None: half a window."""
    max_question: Annotated[int, Field(gt=0)] = 64
    """How many pieces of a question are read."""
    max_answer: Annotated[int, Field(gt=0)] = 30
    """The most pieces of an answer."""
    null_bias: float = 0.0
    """A number added to the score of no answer."""
    threshold: Literal["dev", "given"] = "dev"
    """The null_bias for rows other than dev: the one that scores best on dev, as find_best_thresh_v2 of
    evaluate-v2.0.py finds it ("dev"), or the one above ("given")."""
    layers: TaskHead | None = None
    """None: those of the model's family."""

    def settled(self, model: LoadedModel, name: str) -> Span:
        return replace(self, layers=self.layers or model.task_head("span"))

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        encoded = formatter.encode([text for example in examples for text in example.texts])
        whole, every = Stretches.whole(encoded), np.arange(len(examples))
        question, context = whole.take(2 * every), whole.take(2 * every + 1)
        asked_at_most = min(self.max_question, formatter.room(formatter.two) // 2)
        question = Stretches(question.starts, np.minimum(question.lengths, asked_at_most))
        example_of, window = self._windows(question, context, formatter)
        rows = formatter.rows(encoded, question.take(example_of), window)
        rows = rows.with_planes(**_characters(encoded, rows, example_of))
        start, end = _answer_places(encoded, examples, context)
        start, end = start[example_of], end[example_of]
        frame = formatter.two
        context_at = len(frame.before) + question.lengths[example_of] + len(frame.between)
        is_inside = (start >= window.starts) & (end < window.starts + window.lengths)
        may_be_none = _may_be_none(task)
        has_none = np.array([example.label == () for example in examples])[example_of]
        is_asked = is_inside | has_none | (may_be_none & (start >= 0))
        row_arrays = {
            name: np.where(is_asked, np.where(is_inside, place - window.starts + context_at, 0), -1)
            for name, place in (("start", start), ("end", end))
        }
        found = one_row_each(task, examples, rows, asked=is_asked, row_arrays=row_arrays, planes={"text": 0})
        cut = int((np.bincount(example_of, minlength=len(examples)) > 1).sum())
        return replace(found, example_of=example_of, cut=cut)

    def build(self, task: Task, on: Footing) -> HeadModule:
        if not on.model.tokenizer.vocabulary.special_ids:
            raise UserError("answers as spans need a model with special pieces around its texts; choose an encoder")
        return SpanModule(self.layers or on.model.task_head("span"), on.model)

    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        """Returns answers with their places in the context. The probability of an answer is that of its start times
        that of its end, over all pieces of all windows."""
        may_be_none, found = _may_be_none(asked.task), []
        for example, guess in zip(asked.examples, self._guesses(asked, outputs)):
            is_none = may_be_none and guess.doubt + self.null_bias >= 0
            chance = float(np.exp((guess.none if is_none else guess.score) - guess.totals.sum()))
            span = None if is_none else guess.span(example)
            found.append(Prediction(span.text if span else "", min(chance, 1.0), span=span))
        return found

    def chooses(self, task: Task) -> bool:
        return _may_be_none(task) and self.threshold == "dev"

    def calibrated(self, asked: Prepared, outputs: Outputs) -> Span:
        """Returns the head with the null_bias at which the main metric over the labelled examples is highest."""
        task, guesses = asked.task, zip(asked.examples, self._guesses(asked, outputs))
        pairs = [(example, guess) for example, guess in guesses if task.is_usable(example)]
        metric, truths = task.metrics[0], [example.label for example, _ in pairs]
        answering = metric.statistics([guess.text(example) for example, guess in pairs], truths)[:, 0]
        silent = metric.statistics([""] * len(pairs), truths)[:, 0]
        doubts = np.array([guess.doubt for _, guess in pairs])
        return replace(self, null_bias=best_bias(doubts, answering - silent))

    def chosen(self, task: Task) -> Mapping[str, Any]:
        if not self.null_bias:
            return {}
        return {"null_bias": self.null_bias, "said": f"no answer from a margin of {-self.null_bias:.2f} on"}

    def _guesses(self, asked: Prepared, outputs: Outputs) -> list[_Guess]:
        """The best stretch of each example, over all of its windows."""
        best, rows = [_Guess() for _ in asked.examples], asked.rows
        for row, (example, output) in enumerate(zip(asked.example_of, outputs)):
            here = slice(rows.row_starts[row], rows.row_starts[row + 1])
            guess = best[example]
            guess.none = min(guess.none, float(output[0].sum()))
            guess.totals = np.logaddexp(guess.totals, logsumexp(output.astype(np.float64), axis=0))
            score, first, last = _best_span(output, rows.planes["text"][here] == 2, self.max_answer)
            if score > guess.score:
                guess.score = score
                guess.begin = int(rows.planes["first_character"][here][first])
                guess.end = int(rows.planes["last_character"][here][last])
        return best

    def _windows(self, question: Stretches, context: Stretches, formatter: Formatter) -> tuple[np.ndarray, Stretches]:
        """The example of each window [R], and its stretch of context."""
        room = formatter.room(formatter.two) - question.lengths
        stride = np.minimum(self.stride or room, np.maximum(room // 2, 1))
        beyond = np.maximum(context.lengths - room, 0)
        count = 1 + -(-beyond // stride)
        example_of = np.repeat(np.arange(len(count)), count)
        number = ranges(np.zeros(len(count), np.int64), count)
        start = context.starts[example_of] + number * stride[example_of]
        end = (context.starts + context.lengths)[example_of]
        return example_of, Stretches(start, np.minimum(room[example_of], end - start))

    def answering(self, task: Task, module: HeadModule) -> Answering:
        assert isinstance(module, SpanModule)
        return Answering("span", module.layers, ())


class SpanModule(HeadModule):
    """From [B, T, D] to start and end scores [B, T, 2]."""

    def __init__(self, layers: TaskHead, model: LoadedModel):
        super().__init__()
        self.layers = layers.build(model.architecture.hidden_size, 2, rate=0.0)
        model.architecture.initialization.apply(self, model.architecture.num_hidden_layers)
        self.layers.start(model.weights)

    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        found = self.layers(hidden)
        # Only the context and the row's first piece can be named.
        allowed = arrays["text"] == 2
        allowed[:, 0] = True
        return found.masked_fill(~allowed[..., None], -1e4)

    def logits(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns logits [2B, T]: first of the starts over the places, then of the ends."""
        return torch.cat(self.output(hidden, arrays).unbind(-1))

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        start, end = self.output(hidden, arrays).unbind(-1)
        sums = [
            F.cross_entropy(scores, arrays[name], reduction="sum", ignore_index=-1)
            for name, scores in (("start", start), ("end", end))
        ]
        return (sums[0] + sums[1]) / 2


@dataclass
class _Guess:
    """The best stretch so far of an example, and the worst score of no answer (every window must see none)."""

    score: float = -np.inf
    none: float = np.inf
    begin: int = 0
    end: int = 0
    totals: np.ndarray = field(default_factory=lambda: np.full(2, -np.inf))
    """The logarithms of the sums by which chances of starts and of ends are divided."""

    @property
    def doubt(self) -> float:
        """How much better no answer scores."""
        return self.none - self.score

    def text(self, example: Example) -> str:
        return example.texts[1][self.begin : self.end].strip()

    def span(self, example: Example) -> FoundSpan:
        text, stretch = self.text(example), example.texts[1][self.begin : self.end]
        start = self.begin + len(stretch) - len(stretch.lstrip())
        return FoundSpan(text, start, start + len(text))


def best_bias(doubts: np.ndarray, gains: np.ndarray) -> float:
    """Finds what to add to doubts [N], so that answering where the sum is below 0 gains most. gains [N]: what answering
    is worth over saying nothing. In the middle between the last doubt answered and the first that is not.

    >>> best_bias(np.array([1.0, -3.0, 0.0]), np.array([-1.0, 1.0, 1.0]))
    -0.5
    >>> best_bias(np.array([2.0, 3.0]), np.array([-1.0, -1.0]))
    -1.0
    """
    if not len(doubts):
        return 0.0
    order = np.argsort(doubts, kind="stable")
    ordered = doubts[order]
    totals = np.append(0.0, np.cumsum(gains[order]))
    # Equal doubts are answered together or not at all.
    splits = np.concatenate(([True], ordered[1:] > ordered[:-1], [True]))
    answered = int(np.where(splits, totals, -np.inf).argmax())
    around = np.concatenate(([ordered[0] - 2], ordered, [ordered[-1] + 2]))
    return -float(around[answered] + around[answered + 1]) / 2


def _may_be_none(task: Task) -> bool:
    return bool(getattr(task, "may_be_unanswerable", False))


def _best_span(output: np.ndarray, is_context: np.ndarray, max_answer: int) -> tuple[float, int, int]:
    """Score, first and last piece of the best stretch [T] of at most `max_answer` pieces, from start and end
    scores [T, 2]."""
    start, end = np.where(is_context[:, None], output, -np.inf).T
    ahead = np.append(end, np.full(max_answer - 1, -np.inf))
    scores = start[:, None] + np.lib.stride_tricks.sliding_window_view(ahead, max_answer)
    first, further = np.unravel_index(int(scores.argmax()), scores.shape)
    return float(scores[first, further]), int(first), int(first + further)


def _characters(encoded: EncodedTexts, rows: Rows, example_of: np.ndarray) -> dict[str, np.ndarray]:
    """Planes: the characters of its context at which a piece begins and ends; 0 outside the context."""
    context_start = encoded.text_starts[2 * example_of + 1][rows.row_of]
    in_context, source = rows.planes["text"] == 2, rows.planes["source"]
    return {
        "first_character": np.where(in_context, encoded.begins[source] - context_start, 0),
        "last_character": np.where(in_context, encoded.ends[source] - context_start, 0),
    }


def _answer_places(
    encoded: EncodedTexts, examples: Sequence[Example], context: Stretches
) -> tuple[np.ndarray, np.ndarray]:
    """First and last piece [N] of each example's first answer that stands in its context, in `encoded`'s flat
    pieces; -1 for none."""
    begins, ends = np.full((2, len(examples)), -1)
    for number, example in enumerate(examples):
        for answer in example.label or ():
            if answer.start is not None:
                begins[number], ends[number] = answer.start, answer.start + len(answer.text)
                break
    text_start = encoded.text_starts[2 * np.arange(len(examples)) + 1]
    first = np.searchsorted(encoded.ends, text_start + begins, side="right")
    last = np.searchsorted(encoded.begins, text_start + ends, side="left") - 1
    first = np.maximum(first, context.starts)
    is_there = (begins >= 0) & (first <= last) & (last < context.starts + context.lengths)
    return np.where(is_there, first, -1), np.where(is_there, last, -1)
