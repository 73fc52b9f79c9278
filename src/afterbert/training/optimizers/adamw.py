"""Adam with decoupled weight decay.

Source: Loshchilov and Hutter 2019 (1711.05101), Algorithm 2; torch's own kernel. BERT's release leaves out
Adam's bias correction; torch has it, which only matters in the first steps, during warm-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from afterbert.base.errors import UserError
from afterbert.training.optimizers import Optimizer, decay_groups

_FUSED_ON = {"cpu", "cuda"}


@dataclass(frozen=True)
class AdamW(Optimizer):
    """`decay_embeddings`: whether embedding tables decay like other matrices (BERT: yes).

    >>> AdamW(beta2=1.0)
    Traceback (most recent call last):
    afterbert.base.errors.UserError: beta1 is 0.9 and beta2 is 1.0; both must be at least 0 and below 1
    """

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    decay_embeddings: bool = True

    def __post_init__(self) -> None:
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise UserError(
                f"beta1 is {self.beta1} and beta2 is {self.beta2}; both must be at least 0 and below 1"
            )

    def build(self, module: nn.Module) -> torch.optim.AdamW:
        groups = decay_groups(module, weight_decay=self.weight_decay, embeddings=self.decay_embeddings)
        for group in groups:
            group["initial_lr"] = self.learning_rate
        parameters = [parameter for group in groups for parameter in group["params"]]
        fused = all(p.device.type in _FUSED_ON and p.is_floating_point() for p in parameters)
        return torch.optim.AdamW(
            groups, lr=self.learning_rate, betas=(self.beta1, self.beta2), eps=self.eps, fused=fused
        )
