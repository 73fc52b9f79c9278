"""Stochastic answer network: two texts compared in several turns of reading.

Source: MT-DNN (1901.11504), Section 3.1, "Pairwise Text Classification Output", after Liu et al. 2018 (SAN).
The memories are the states of the two texts' pieces. Each turn predicts; predictions are averaged, in
training over a random part of the turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.downstream.example import Example
from afterbert.downstream.heads import Footing, Head, HeadModule, Outputs
from afterbert.downstream.heads._layers import keep_class_weights
from afterbert.downstream.heads.pooled import Pooled
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.posing.prepared import Prepared
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.tasks import Task, labels_of
from afterbert.nn.dropout import dropout


@dataclass(frozen=True)
class San(Head):
    """Answers a pair of texts by reading the first one several times (stochastic answer network)."""

    answers: ClassVar[tuple[str, ...]] = ("class",)
    weighs_classes: ClassVar[bool] = True

    turns: Annotated[int, Field(ge=1)] = 5
    """How often the first text is read again (the release's default)."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    prediction_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """The share of turns left out in training."""

    def prepare(self, task: Task, examples: Sequence[Example], formatter: Formatter) -> Prepared:
        if any(len(example.texts) != 2 for example in examples):
            raise UserError("head san compares two texts, but the task has one; choose head pooled")
        return Pooled().prepare(task, examples, formatter)

    def build(self, task: Task, on: Footing) -> HeadModule:
        return SanModule(self, task, on)

    def answered(self, asked: Prepared, outputs: Outputs) -> list[Prediction]:
        return Pooled().answered(asked, outputs)


class SanModule(HeadModule):
    """From [B, T, D] and the plane `text` [B, T] to log-probabilities [B, K]."""

    class_weights: Tensor | None

    def __init__(self, config: San, task: Task, on: Footing):
        super().__init__()
        architecture = on.model.architecture
        width = architecture.hidden_size
        self.turns, self.prediction_dropout = config.turns, config.prediction_dropout
        self.first_look = nn.Linear(width, 1, bias=False)
        self.question = nn.Linear(width, width, bias=False)
        self.dropout = dropout(config.dropout)
        self.last = nn.Linear(4 * width, len(labels_of(task)))
        architecture.initialization.apply(self, architecture.num_hidden_layers)
        self.memory = nn.GRUCell(width, width)
        keep_class_weights(self, on)

    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        hidden = self.dropout(hidden)
        in_first, in_second = arrays["text"] == 1, arrays["text"] == 2
        state = _attended(self.first_look(hidden)[..., 0], hidden, in_second)
        found = []
        for turn in range(self.turns):
            read = _attended((hidden @ self.question(state)[..., None])[..., 0], hidden, in_first)
            if turn:
                state = self.memory(read, state)
            together = torch.cat((state, read, (state - read).abs(), state * read), dim=-1)
            found.append(self.last(self.dropout(together)).float().softmax(-1))
        return self._averaged(torch.stack(found)).clamp_min(1e-30).log()

    def score(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        log_shares = self.output(hidden, arrays)
        return F.nll_loss(log_shares, arrays["labels"], weight=self.class_weights, reduction="sum", ignore_index=-1)

    def _averaged(self, shares: Tensor) -> Tensor:
        """The mean over turns [turns, B, K]; in training over those that are kept, one at least."""
        if not self.training or not self.prediction_dropout:
            return shares.mean(0)
        kept = torch.rand(shares.shape[:2], device=shares.device) >= self.prediction_dropout
        kept[0] |= ~kept.any(0)
        return (shares * kept[..., None]).sum(0) / kept.sum(0)[:, None]


def _attended(scores: Tensor, hidden: Tensor, is_there: Tensor) -> Tensor:
    """The mean of hidden [B, T, D] by the softmax of scores [B, T] over the places of one text."""
    # A text that was cut away wholly leaves nothing to look at; then all places count alike.
    weights = scores.float().masked_fill(~is_there, torch.finfo(torch.float32).min).softmax(-1)
    return (weights.to(hidden.dtype)[:, None] @ hidden)[:, 0]
