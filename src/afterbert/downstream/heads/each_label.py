"""Each label yes or no, from one vector of the row: as for a class, but with a logistic function for each label.

Source: binary relevance, as Hugging Face's `multi_label_classification` trains it. Deviation: a label is given from the
chance on at which its F1 on dev is highest, not from one half on (Lipton, Elkan and Narayanaswamy 2014, 1402.1892).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from scipy.special import expit
from torch import Tensor
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.downstream.example import Example
from afterbert.downstream.heads import Footing, HeadModule, Outputs
from afterbert.downstream.heads._layers import LayeredHead, LayersModule
from afterbert.downstream.heads.pooled import text_rows
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.posing.prepared import Prepared, one_row_each
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Task, labels_of
from afterbert.interop.task_class import Answering

_HALF = 0.5


@dataclass(frozen=True)
class EachLabel(LayeredHead):
    """Any number of labels for each row."""

    answers: ClassVar[tuple[str, ...]] = ("labels",)

    threshold: Literal["dev", "given"] = "dev"
    """Whether rows other than dev, and later ones, take the thresholds that do best on dev, or those given."""
    thresholds: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """The chance from which on each label is given, in the order of the labels; empty: one half for all."""

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        rows, cut = text_rows(examples, formatter)
        labels = np.full((len(examples), len(labels_of(task))), np.nan, dtype=np.float32)
        for row, example in enumerate(examples):
            if example.label is not None:
                labels[row] = [name in example.label for name in labels_of(task)]
        is_asked, arrays = np.array([example.label is not None for example in examples]), {"labels": labels}
        return one_row_each(task, examples, rows, asked=is_asked, row_arrays=arrays, planes={"text": 0}, cut=cut)

    def build(self, task: Task, on: Footing) -> HeadModule:
        labels = labels_of(task)
        if len(self.thresholds) not in (0, len(labels)):
            raise UserError(f"{len(self.thresholds)} thresholds for {len(labels)} labels; name one for each")
        return EachLabelModule(self, on, len(labels))

    def chooses(self, task: Task) -> bool:
        return self.threshold == "dev"

    def calibrated(self, asked: Prepared, outputs: Outputs) -> EachLabel:
        """Returns the head with the thresholds at which each label's F1 over the labelled examples is highest."""
        is_asked = asked.asked > 0
        chances, truths = expit(np.stack(outputs))[is_asked], asked.row_arrays["labels"][is_asked] > 0
        return replace(self, thresholds=tuple(map(best_threshold, chances.T, truths.T)))

    def chosen(self, task: Task) -> Mapping[str, Any]:
        if not self.thresholds:
            return {}
        pairs = [f"{name} {least:.2f}" for name, least in zip(labels_of(task), self.thresholds)]
        shown = ", ".join(pairs[:12]) + (", ..." if len(pairs) > 12 else "")
        return {"thresholds": list(self.thresholds), "said": f"labels are given from these chances on: {shown}"}

    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        """Returns the predictions, without a probability of the whole answer: each label has its own."""
        labels, found = labels_of(asked.task), []
        least = np.array(self.thresholds or [_HALF] * len(labels))
        for chances in map(expit, outputs):
            given = tuple(sorted(labels[i] for i in np.flatnonzero(chances >= least)))
            found.append(Prediction(given, probabilities=dict(zip(labels, chances.tolist()))))
        return found

    def answering(self, task: Task, module: HeadModule) -> Answering:
        assert isinstance(module, EachLabelModule)
        labels = labels_of(task)
        return Answering("sequence", module.layers, labels, "multi_label_classification", module.summary)


class EachLabelModule(LayersModule):
    """From the summaries to logits [B, K]."""

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        found, labels = self.output(hidden, arrays), arrays["labels"]
        is_asked = ~labels.isnan()
        losses = F.binary_cross_entropy_with_logits(found, torch.where(is_asked, labels, 0.0), reduction="none")
        return (losses * is_asked).mean(-1).sum()

    def logits(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Computes [B, K, 2]: each label is given or not, whatever the others are."""
        found = self.output(hidden, arrays)
        return torch.stack((found, torch.zeros_like(found)), -1)


def best_threshold(chances: np.ndarray, is_true: np.ndarray) -> float:
    """Finds the chance from which on a label had best be given, from the chances of rows [N] that have it or not [N].
    It lies half-way between two rows, of several that do equally well the nearest to one half; it is one half where no
    row has the label.

    >>> best_threshold(np.array([0.9, 0.2, 0.3, 0.1]), np.array([True, False, True, False]))
    0.25
    """
    if not is_true.any():
        return _HALF
    order = np.argsort(-chances, kind="stable")
    falling = np.append(chances[order], 0.0)
    cuts = (falling[:-1] + falling[1:]) / 2
    f1 = 2 * np.cumsum(is_true[order]) / (np.arange(1, len(order) + 1) + is_true.sum())
    f1[falling[:-1] == falling[1:]] = -1
    best = np.flatnonzero(f1 == f1.max())
    return float(cuts[best[np.argmin(abs(cuts[best] - _HALF))]])
