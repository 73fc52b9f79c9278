"""One of several candidates: each is read together with the query, gets one number, and the softmax runs over
the candidates.

Source: MT-DNN (1901.11504), Section 3.1, Equations 5 and 7 (ranking, gamma = 1); GPT (Radford et al. 2018),
Section 3.3 (multiple choice).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from afterbert.base.rows import starts_of
from afterbert.downstream.example import Example
from afterbert.downstream.heads import Footing, HeadModule, Outputs
from afterbert.downstream.heads._layers import LayeredHead, LayersModule
from afterbert.downstream.heads.pooled import text_rows
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.posing.prepared import Prepared
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Task
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.task_class import Answering
from afterbert.nn.task_head import TaskHead


@dataclass(frozen=True)
class CandidatesHead(LayeredHead):
    """Serves ranking (several may be relevant) and multiple choice (one is right)."""

    answers: ClassVar[tuple[str, ...]] = ("order", "choice")

    def layers_on(self, model: LoadedModel) -> TaskHead:
        """Returns the layers. The last one has no bias, which would add the same to all candidates."""
        return self.layers or replace(model.task_head("sequence"), last_bias=False)

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        pairs = [Example(e.key, (e.texts[0], candidate)) for e in examples for candidate in e.texts[1:]]
        rows, cut = text_rows(pairs, formatter)
        is_right = [i in example.labels for example in examples for i in range(len(example.texts) - 1)]
        return Prepared(
            task,
            examples,
            rows,
            starts_of(np.array([len(example.texts) - 1 for example in examples])),
            np.arange(len(examples)),
            asked=np.array([len(example.labels) for example in examples], dtype=np.int64),
            row_arrays={"is_right": np.array(is_right, dtype=bool)},
            cut=cut,
        )

    def build(self, task: Task, on: Footing) -> HeadModule:
        return CandidatesModule(self, on, 1)

    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        # a number each; of a finished graph [1]
        scores, found = np.array([np.asarray(output).item() for output in outputs]), []
        for begin, end in pairwise(asked.unit_starts):
            own = scores[begin:end]
            order, told = np.argsort(-own, kind="stable").tolist(), tuple(own.tolist())
            if asked.task.answer == "order":
                found.append(Prediction(tuple(order), scores=told))
            else:
                found.append(Prediction(order[0], float(softmax(own).max()), scores=told))
        return found

    def answering(self, task: Task, module: HeadModule) -> Answering:
        assert isinstance(module, CandidatesModule)
        if task.answer == "choice":
            return Answering("choice", module.layers, (), summary=module.summary)
        return Answering("sequence", module.layers, ("relevance",), "regression", module.summary)


class CandidatesModule(LayersModule):
    """From the summaries to one number a row [B]."""

    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        return super().output(hidden, arrays)[:, 0]

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        scores, unit_of = self.output(hidden, arrays), arrays["unit_of"]
        log_shares = scores - torch.logsumexp(_by_unit(scores, unit_of, float("-inf")), dim=1)[unit_of]
        return -(log_shares * arrays["is_right"]).sum()

    def logits(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns scores [U, B]: for each question those of its candidates, very low for those of other questions."""
        return _by_unit(self.output(hidden, arrays), arrays["unit_of"], -1e4)


def _by_unit(scores: Tensor, unit_of: Tensor, elsewhere: float) -> Tensor:
    """Scores [B] as a table [U, B]."""
    table = scores.new_full((int(unit_of[-1]) + 1, len(scores)), elsewhere)
    table[unit_of, torch.arange(len(scores), device=scores.device)] = scores
    return table
