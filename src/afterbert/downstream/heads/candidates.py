"""One of several candidates: each is read together with the query, gets one number, and the softmax runs over
the candidates.

Source: MT-DNN (1901.11504), Section 3.1, Equations 5 and 7 (ranking, gamma = 1); GPT (Radford et al. 2018),
Section 3.3 (multiple choice).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from scipy.special import softmax
from torch import Tensor

from afterbert.base.rows import starts_of
from afterbert.downstream.example import Example
from afterbert.downstream.heads import Head, HeadModule
from afterbert.downstream.heads.pooled import text_rows
from afterbert.downstream.posing.backbone import Summary, summarized, summary_places
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.posing.prepared import Prepared
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Task
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.task_class import Answering
from afterbert.nn.task_head import TaskHead


@dataclass(frozen=True)
class CandidatesHead(Head):
    """Serves ranking (several may be relevant) and multiple choice (one is right)."""

    answers: ClassVar[tuple[str, ...]] = ("order", "choice")

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Before the last layer."""
    layers: TaskHead | None = None
    """None: those of the model's family. The last one has no bias, which would add the same to all candidates."""

    def settled(self, model: LoadedModel, name: str) -> CandidatesHead:
        layers = self.layers or replace(model.task_head("sequence"), last_bias=False)
        return replace(self, layers=layers)

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        pairs = [Example(e.key, (e.texts[0], candidate)) for e in examples for candidate in e.texts[1:]]
        rows, cut = text_rows(pairs, formatter)
        right = [_right_ones(example) for example in examples]
        is_right = [i in wanted for e, wanted in zip(examples, right) for i in range(len(e.texts) - 1)]
        return Prepared(
            rows,
            starts_of(np.array([len(example.texts) - 1 for example in examples])),
            np.arange(len(examples)),
            asked=np.array([len(wanted) for wanted in right], dtype=np.int64),
            row_arrays={"is_right": np.array(is_right, dtype=bool)},
            cut=cut,
        )

    def build(
        self, task: Task, model: LoadedModel, *, summary: Summary, class_weights: np.ndarray | None
    ) -> CandidatesModule:
        return CandidatesModule(self, model, summary=summary)

    def predictions(
        self, task: Task, examples: Sequence[Example], prepared: Prepared, outputs: Sequence[np.ndarray]
    ) -> list[Any]:
        return [one.value for one in self.answered(task, examples, prepared, outputs)]

    def answered(
        self, task: Task, examples: Sequence[Example], prepared: Prepared, outputs: Sequence[np.ndarray]
    ) -> list[Prediction]:
        scores = np.array([float(output) for output in outputs])
        found: list[Prediction] = []
        for begin, end in zip(prepared.unit_starts[:-1], prepared.unit_starts[1:]):
            own = scores[begin:end]
            order, told = np.argsort(-own, kind="stable").tolist(), tuple(own.tolist())
            if task.answer == "order":
                found.append(Prediction(tuple(order), scores=told))
            else:
                found.append(Prediction(order[0], float(softmax(own).max()), scores=told))
        return found

    def answering(self, task: Task, module: HeadModule) -> Answering:
        assert isinstance(module, CandidatesModule)
        if task.answer == "choice":
            return Answering("choice", module.layers, (), summary=module.summary)
        return Answering("sequence", module.layers, ("relevance",), "regression", module.summary)


class CandidatesModule(HeadModule):
    """From the summaries to one number a row [B]."""

    def __init__(self, config: CandidatesHead, model: LoadedModel, *, summary: Summary):
        super().__init__()
        self.summary: Summary = summary
        layers = config.layers or replace(model.task_head("sequence"), last_bias=False)
        self.layers = layers.build(model.architecture.hidden_size, 1, rate=config.dropout)
        model.architecture.initialization.apply(self, model.architecture.num_hidden_layers)
        if summary == "first":
            self.layers.start(model.weights)

    def wanted(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        return summary_places(arrays, self.summary)

    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.layers(summarized(hidden, arrays, self.summary))[:, 0]

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        scores, unit_of = self.output(hidden, arrays), arrays["unit_of"]
        log_shares = scores - torch.logsumexp(_by_unit(scores, unit_of, float("-inf")), dim=1)[unit_of]
        return -(log_shares * arrays["is_right"]).sum()

    def logits(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """[U, B]: for each question its candidates' scores, very low for those of others."""
        return _by_unit(self.output(hidden, arrays), arrays["unit_of"], -1e4)


def _by_unit(scores: Tensor, unit_of: Tensor, elsewhere: float) -> Tensor:
    """Scores [B] as a table [U, B]."""
    table = scores.new_full((int(unit_of[-1]) + 1, len(scores)), elsewhere)
    table[unit_of, torch.arange(len(scores), device=scores.device)] = scores
    return table


def _right_ones(example: Example) -> tuple[int, ...]:
    if example.label is None:
        return ()
    return example.label if isinstance(example.label, tuple) else (example.label,)
