"""A class or a number from one vector of the row: dense layer, activation, dropout, linear layer.

Source: BERT (1810.04805), Section 4.1, whose pooler is pre-trained; where a model has none it starts fresh.
MT-DNN's heads for single sentences and for similarity (1901.11504, Equations 1 and 2) are the same thing. The layers
are those of the class that Hugging Face's family of the model has for it, so that it can leave as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.downstream.example import Example
from afterbert.downstream.heads import Head, HeadModule, label_numbers
from afterbert.downstream.posing.backbone import Summary, summarized, summary_places
from afterbert.downstream.posing.formatting import Formatter, Stretches
from afterbert.downstream.posing.prepared import Prepared, one_row_each
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Graded, Task, labels_of
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.task_class import Answering
from afterbert.nn.task_head import TaskHead


@dataclass(frozen=True)
class Pooled(Head):
    """A class, or a number, for each row."""

    answers: ClassVar[tuple[str, ...]] = ("class", "number")
    weighs_classes: ClassVar[bool] = True

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Before the last layer."""
    layers: TaskHead | None = None
    """None: those of the model's family."""

    def settled(self, model: LoadedModel, name: str) -> Pooled:
        return replace(self, layers=self.layers or model.task_head("sequence"))

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        rows, cut = text_rows(examples, formatter)
        if task.answer == "number":
            labels = np.array([np.nan if e.label is None else e.label for e in examples], dtype=np.float32)
            is_asked = ~np.isnan(labels)
        else:
            labels = label_numbers(task, [example.label for example in examples])
            is_asked = labels >= 0
        return one_row_each(
            rows, asked=is_asked.astype(np.int64), row_arrays={"labels": labels}, planes={"text": 0}, cut=cut
        )

    def build(
        self, task: Task, model: LoadedModel, *, summary: Summary, class_weights: np.ndarray | None
    ) -> PooledModule:
        return PooledModule(self, task, model, summary=summary, class_weights=class_weights)

    def predictions(
        self, task: Task, examples: Sequence[Example], prepared: Prepared, outputs: Sequence[np.ndarray]
    ) -> list[Any]:
        if task.answer == "number":
            return [float(output[0]) for output in outputs]
        labels = labels_of(task)
        return [labels[int(output.argmax())] for output in outputs]

    def answered(
        self, task: Task, examples: Sequence[Example], prepared: Prepared, outputs: Sequence[np.ndarray]
    ) -> list[Prediction]:
        values, labels = self.predictions(task, examples, prepared, outputs), labels_of(task)
        if task.answer == "number" or not values:
            return [Prediction(value) for value in values]
        chances = softmax(np.stack(outputs).astype(np.float64), axis=1)
        return [
            Prediction(value, float(row.max()), dict(zip(labels, row.tolist()))) for value, row in zip(values, chances)
        ]

    def answering(self, task: Task, module: HeadModule) -> Answering:
        assert isinstance(module, PooledModule)
        if module.is_regression:
            return Answering("sequence", module.layers, ("score",), "regression", module.summary)
        return Answering("sequence", module.layers, labels_of(task), summary=module.summary)


class PooledModule(HeadModule):
    """From the summaries to logits [B, K], or numbers [B, 1]."""

    class_weights: Tensor | None

    def __init__(
        self, config: Pooled, task: Task, model: LoadedModel, *, summary: Summary, class_weights: np.ndarray | None
    ):
        super().__init__()
        self.is_regression = task.answer == "number"
        self.summary: Summary = summary
        num_outputs = 1 if self.is_regression else len(labels_of(task))
        layers = config.layers or model.task_head("sequence")
        self.layers = layers.build(model.architecture.hidden_size, num_outputs, rate=config.dropout)
        model.architecture.initialization.apply(self, model.architecture.num_hidden_layers)
        if summary == "first":
            self.layers.start(model.weights)
        last_bias = self.layers.last.bias
        if isinstance(task, Graded) and task.low is not None and task.high is not None and last_bias is not None:
            # The middle of the range as the first guess; else the first steps only learn where the numbers
            # lie.
            nn.init.constant_(last_bias, (task.low + task.high) / 2)
        weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def wanted(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        return summary_places(arrays, self.summary)

    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.layers(summarized(hidden, arrays, self.summary))

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        found, labels = self.output(hidden, arrays), arrays["labels"]
        if self.is_regression:
            is_asked = ~labels.isnan()
            return F.mse_loss(found[is_asked, 0], labels[is_asked], reduction="sum")
        return F.cross_entropy(found, labels, weight=self.class_weights, reduction="sum", ignore_index=-1)


def text_rows(examples: Sequence[Example], formatter: Formatter) -> tuple[Any, int]:
    """Rows of one or two texts each, cut to fit, and how many lost pieces."""
    is_pair = len(examples[0].texts) > 1
    assert all(len(example.texts) == 1 + is_pair for example in examples), "one text in all rows, or two in all"
    encoded = formatter.encode([text for example in examples for text in example.texts])
    whole = Stretches.whole(encoded)
    every = np.arange(len(examples)) * (1 + is_pair)
    first, second = whole.take(every), whole.take(every + 1) if is_pair else None
    before = first.lengths + (second.lengths if second is not None else 0)
    first, second = formatter.fit(first, second)
    after = first.lengths + (second.lengths if second is not None else 0)
    return formatter.rows(encoded, first, second), int((after < before).sum())
