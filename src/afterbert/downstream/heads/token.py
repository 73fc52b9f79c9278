"""A tag for each word, from the state of its first piece.

Source: BERT (1810.04805), Section 5.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import ClassVar, Literal

import numpy as np
from scipy.special import softmax
from torch import Tensor
from torch.nn import functional as F

from afterbert.base.rows import starts_of
from afterbert.downstream.example import Example
from afterbert.downstream.heads import Footing, HeadModule, Outputs, label_numbers
from afterbert.downstream.heads._layers import LayeredHead, LayersModule
from afterbert.downstream.metrics.entity_f1 import entities
from afterbert.downstream.posing.formatting import Formatter, Stretches
from afterbert.downstream.posing.prepared import Prepared, one_row_each
from afterbert.downstream.prediction import FoundSpan, Prediction
from afterbert.downstream.tasks import Labelled, Task, labels_of
from afterbert.interop.task_class import Answering
from afterbert.text.pieces.encoding import EncodedTexts

_NO_TAG = -1


@dataclass(frozen=True)
class Token(LayeredHead):
    """Words without a piece (nothing but control characters) and words beyond the length are tagged `O` where
    there is such a tag, else with the first label."""

    answers: ClassVar[tuple[str, ...]] = ("tags",)
    weighs_classes: ClassVar[bool] = True
    is_by_piece: ClassVar[bool] = True
    layer_kind: ClassVar[Literal["sequence", "token", "span"]] = "token"

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        encoded = formatter.encode([" ".join(example.texts) for example in examples])
        whole = Stretches.whole(encoded)
        kept, _ = formatter.fit(whole)
        rows = formatter.rows(encoded, kept)
        word = np.append(_first_piece_of_word(encoded, examples), -1)[rows.planes["source"]]
        tags = [example.label or (None,) * len(example.texts) for example in examples]
        numbers = label_numbers(task, list(chain.from_iterable(tags)))
        tag = np.where(word >= 0, np.append(numbers, _NO_TAG)[word], _NO_TAG)
        rows = rows.with_planes(word=word, tag=tag)
        asked = np.bincount(rows.row_of[tag >= 0], minlength=len(examples))
        cut = int((kept.lengths < whole.lengths).sum())
        return one_row_each(task, examples, rows, asked=asked, planes={"tag": _NO_TAG}, cut=cut)

    def build(self, task: Task, on: Footing) -> HeadModule:
        return TokenModule(self, on, len(labels_of(task)), by_piece=True)

    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        """Tags, and where they mark entities these. An entity is as sure as its words are on average, which is what
        transformers' pipeline says of it (aggregation strategy `first`)."""
        task, labels, word = asked.task, labels_of(asked.task), asked.rows.planes["word"]
        starts = starts_of(np.array([len(example.texts) for example in asked.examples]))
        guesses = np.full(starts[-1], labels.index("O") if "O" in labels else 0)
        sure = np.zeros(starts[-1])
        best = np.concatenate([output.argmax(-1) for output in outputs])
        chances = np.concatenate([softmax(one.astype(np.float64), axis=-1).max(-1, initial=0.0) for one in outputs])
        assert len(best) == asked.rows.num_pieces
        guesses[word[word >= 0]], sure[word[word >= 0]] = best[word >= 0], chances[word >= 0]
        marks_entities = isinstance(task, Labelled) and task.marks_entities
        found = []
        for example, (a, b) in zip(asked.examples, pairwise(starts)):
            tags, by_word = tuple(labels[i] for i in guesses[a:b]), sure[a:b]
            spans = _entities(example.texts, tags, by_word) if marks_entities else None
            found.append(Prediction(tags, float(by_word.min(initial=1.0)), entities=spans))
        return found

    def answering(self, task: Task, module: HeadModule) -> Answering:
        assert isinstance(module, TokenModule)
        return Answering("token", module.layers, labels_of(task))


class TokenModule(LayersModule):
    """From [B, T, D] to logits [B, T, K]."""

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        tags = arrays["tag"][arrays["tag"] >= 0]
        return F.cross_entropy(self.logits(hidden, arrays), tags, weight=self.class_weights, reduction="sum")

    def logits(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.layers(hidden[arrays["tag"] >= 0])


def _entities(words: Sequence[str], tags: Sequence[str], sure: np.ndarray) -> tuple[FoundSpan, ...]:
    """The entities of a sentence with their places in its words joined by single spaces. sure: float [W]."""
    text, begins = " ".join(words), starts_of(np.array([len(word) + 1 for word in words]))
    found = []
    for label, first, behind in entities(tags):
        start, end = int(begins[first]), int(begins[behind]) - 1
        found.append(FoundSpan(text[start:end], start, end, label, float(sure[first:behind].mean())))
    return tuple(found)


def _first_piece_of_word(encoded: EncodedTexts, examples: Sequence[Example]) -> np.ndarray:
    """int64 [T]: the number of the word (through all examples) whose first piece this is, else -1."""
    lengths = np.array([len(word) for example in examples for word in example.texts], dtype=np.int64)
    num_words = np.array([len(example.texts) for example in examples])
    example_of = np.repeat(np.arange(len(examples)), num_words)
    # Words stand one space apart within an example, and examples follow each other without one.
    ends = np.cumsum(lengths) + np.arange(len(lengths)) - example_of
    begins = ends - lengths
    word = np.searchsorted(begins, encoded.begins, side="right") - 1
    inside = (word >= 0) & (encoded.begins < ends[np.maximum(word, 0)])
    word = np.where(inside, word, -1)
    is_first = word != np.concatenate(([-1], word[:-1]))
    # A piece of two letters' bytes may begin where the one before did; only the first one speaks for the
    # word.
    return np.where(inside & is_first, word, -1)
