"""A class or a number from one vector of the row: dense layer, activation, dropout, linear layer.

Source: BERT (1810.04805), Section 4.1, whose pooler is pre-trained; where a model has none it starts fresh. MT-DNN's
heads for single sentences and for similarity (1901.11504, Equations 1 and 2) are the same thing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.base.rows import Rows
from afterbert.downstream.example import Example
from afterbert.downstream.heads import Footing, HeadModule, Outputs, label_numbers
from afterbert.downstream.heads._layers import LayeredHead, LayersModule
from afterbert.downstream.posing.formatting import Formatter, Stretches
from afterbert.downstream.posing.prepared import Prepared, one_row_each
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Graded, Task, labels_of
from afterbert.interop.task_class import Answering


@dataclass(frozen=True)
class Pooled(LayeredHead):
    """A class, or a number, for each row."""

    answers: ClassVar[tuple[str, ...]] = ("class", "number")
    weighs_classes: ClassVar[bool] = True

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        rows, cut = text_rows(examples, formatter)
        if task.answer == "number":
            labels = np.array([np.nan if e.label is None else e.label for e in examples], dtype=np.float32)
            is_asked = ~np.isnan(labels)
        else:
            labels = label_numbers(task, [example.label for example in examples])
            is_asked = labels >= 0
        arrays = {"labels": labels}
        return one_row_each(task, examples, rows, asked=is_asked, row_arrays=arrays, planes={"text": 0}, cut=cut)

    def build(self, task: Task, on: Footing) -> HeadModule:
        return PooledModule(self, task, on)

    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        if asked.task.answer == "number":
            return [Prediction(float(output[0])) for output in outputs]
        if not len(outputs):
            return []
        labels, chances = labels_of(asked.task), softmax(np.stack(outputs).astype(np.float64), axis=1)
        return [
            Prediction(labels[int(output.argmax())], float(row.max()), dict(zip(labels, row.tolist())))
            for output, row in zip(outputs, chances)
        ]

    def answering(self, task: Task, module: HeadModule) -> Answering:
        assert isinstance(module, PooledModule)
        if module.is_regression:
            return Answering("sequence", module.layers, ("score",), "regression", module.summary)
        return Answering("sequence", module.layers, labels_of(task), summary=module.summary)


class PooledModule(LayersModule):
    """From the summaries to logits [B, K], or numbers [B, 1]."""

    def __init__(self, config: Pooled, task: Task, on: Footing):
        super().__init__(config, on, 1 if task.answer == "number" else len(labels_of(task)))
        self.is_regression = task.answer == "number"
        last_bias = self.layers.last.bias
        if isinstance(task, Graded) and task.low is not None and task.high is not None and last_bias is not None:
            # The middle of the range as the first guess; else the first steps only learn where the numbers lie.
            nn.init.constant_(last_bias, (task.low + task.high) / 2)

    @property
    def last_layer(self) -> nn.Linear:
        return self.layers.last

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        found, labels = self.output(hidden, arrays), arrays["labels"]
        if self.is_regression:
            is_asked = ~labels.isnan()
            return F.mse_loss(found[is_asked, 0], labels[is_asked], reduction="sum")
        return F.cross_entropy(found, labels, weight=self.class_weights, reduction="sum", ignore_index=-1)


def text_rows(examples: Sequence[Example], formatter: Formatter) -> tuple[Rows, int]:
    """Returns rows of one or two texts each, cut to fit, and how many of them lost pieces."""
    is_pair = len(examples[0].texts) > 1
    assert all(len(example.texts) == 1 + is_pair for example in examples), "one text in all rows, or two in all"
    encoded = formatter.encode([text for example in examples for text in example.texts])
    whole = Stretches.whole(encoded)
    every = np.arange(len(examples)) * (1 + is_pair)
    first, second = whole.take(every), whole.take(every + 1) if is_pair else None
    rows = formatter.rows(encoded, *formatter.fit(first, second))
    specials = (formatter.two if is_pair else formatter.one).num_specials
    whole_lengths = first.lengths + (second.lengths if second is not None else 0)
    return rows, int((rows.lengths - specials < whole_lengths).sum())
