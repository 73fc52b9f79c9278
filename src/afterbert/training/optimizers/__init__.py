"""How weights move, given their gradients. One optimizer a file."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


class Optimizer(ABC):
    """An optimizer as a frozen config.

    The trainer calls the built optimizer once a step, with `lr` of every group set to its `initial_lr` (the
    peak) times the schedule's factor. Whatever must survive a resume stands in its per-parameter state, as
    tensors or JSON scalars; the checkpoint keeps it by parameter name. Groups are rebuilt from the config.
    """

    #: how many numbers it keeps for each weight, for the reckoning of memory
    numbers_per_weight: ClassVar[float] = 2

    weight_decay: float
    decay_embeddings: bool

    @property
    @abstractmethod
    def learning_rate(self) -> float:
        """The peak, that schedules scale; a field or what follows from one."""

    @property
    def is_relative(self) -> bool:
        """Whether the learning rate is a share of each weight's own size."""
        return False

    @abstractmethod
    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """Returns a fresh optimizer over all parameters of `module` that want a gradient, each in one group, with
        `initial_lr` set."""

    def groups(self, module: nn.Module) -> list[dict]:
        """Returns two groups of parameters, at the peak of the learning rate: matrices decay; vectors and biases do
        not, nor embedding tables unless `decay_embeddings`.

        BERT's own optimizer (google-research/bert `optimization.py`) leaves out biases and layer norms. Nearly all of
        these are vectors; the others are known by their name, which ends in `bias`: XLNet's three are [heads, head
        width], and its release spares them (zihangdai/xlnet `model_utils.py`). `is_spared` of a group says which it is;
        empty ones are left out.
        """
        tables = {id(part.weight) for part in module.modules() if isinstance(part, (nn.Embedding, nn.EmbeddingBag))}
        decayed: list[nn.Parameter] = []
        kept: list[nn.Parameter] = []
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                is_bias = parameter.ndim < 2 or name.endswith("bias")
                spared = is_bias or (not self.decay_embeddings and id(parameter) in tables)
                (kept if spared else decayed).append(parameter)
        groups: list[dict] = [
            {"params": decayed, "weight_decay": self.weight_decay, "is_spared": False},
            {"params": kept, "weight_decay": 0.0, "is_spared": True},
        ]
        return [group | {"initial_lr": self.learning_rate} for group in groups if group["params"]]


class ByWeight(torch.optim.Optimizer, ABC):
    """An optimizer of our own, which moves one weight after the other."""

    def __init__(self, groups: list[dict], config: Optimizer):
        super().__init__(groups, {"lr": config.learning_rate})
        self.config: Any = config

    @abstractmethod
    def move(self, weight: nn.Parameter, gradient: Tensor, group: dict) -> None:
        """Moves a weight as its group says."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]  # the stub overloads it
        assert closure is None, "the trainer has made the gradients"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.move(weight, weight.grad, group)
