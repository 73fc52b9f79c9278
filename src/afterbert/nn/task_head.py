"""The layers that answer a task with labels, above a backbone's hidden states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from afterbert.base.numbers import DropoutRate
from afterbert.nn.activations import ACTIVATIONS, Activation
from afterbert.nn.dropout import dropout
from afterbert.nn.norms import Norm


@dataclass(frozen=True)
class TaskHead:
    """Dense layer, activation and norm, as far as there are any, then dropout and a linear layer to the answers.

    The defaults are BERT's over a pooled piece (1810.04805, Section 4.1); each family of Hugging Face's has its own.
    """

    has_dense: bool = True
    """Whether anything stands before the last layer at all."""
    bias: bool = True
    """Whether the dense layer has a bias."""
    activation: Activation = "tanh"
    """The activation of the dense layer."""
    norm: Norm | None = None
    """The norm after the activation; None: no norm."""
    last_bias: bool = True
    """Whether the last layer has a bias."""
    starts_from: Literal["pooler", "lm_head"] | None = "pooler"
    """The pre-trained head whose dense layer and norm it starts from, where the model has it; None: fresh weights."""

    def build(self, hidden_size: int, num_outputs: int, *, rate: DropoutRate) -> TaskHeadModule:
        """Returns the head's module. rate: of the dropout before the last layer."""
        return TaskHeadModule(self, hidden_size, num_outputs, rate)


class TaskHeadModule(nn.Module):
    """From hidden states [..., D] to answers [..., K], in float32."""

    def __init__(self, config: TaskHead, hidden_size: int, num_outputs: int, rate: float):
        super().__init__()
        self.config = config
        has_dense = config.has_dense
        self.hidden_matrices = {"dense": 1} if has_dense else {}
        self.dense = nn.Linear(hidden_size, hidden_size, bias=config.bias) if has_dense else nn.Identity()
        self.activate = ACTIVATIONS[config.activation] if has_dense else nn.Identity()
        self.norm = config.norm.build(hidden_size) if has_dense and config.norm is not None else nn.Identity()
        self.dropout = dropout(rate)
        self.last = nn.Linear(hidden_size, num_outputs, bias=config.last_bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.last(self.dropout(self.norm(self.activate(self.dense(hidden))))).float()

    def start(self, heads: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Takes over what `starts_from` names, from the states of a model's heads; nothing where shapes or parts
        differ, as those of a head for a narrow table."""
        source = heads.get(self.config.starts_from or "", {})
        taken = {name.removeprefix("transform."): tensor for name, tensor in source.items()}
        mine = {name: tensor for name, tensor in self.state_dict().items() if not name.startswith("last.")}
        if mine and all(name in taken and taken[name].shape == mine[name].shape for name in mine):
            self.load_state_dict({**self.state_dict(), **{name: taken[name] for name in mine}})
