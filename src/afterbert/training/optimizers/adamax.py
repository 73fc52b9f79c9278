"""Adam by the largest gradient there was (infinity norm) instead of a mean of squares.

Source: Kingma and Ba 2015 (1412.6980), Algorithm 2; torch's own kernel, whose `eps` stands inside the maximum.
MT-DNN (1901.11504), Section 4.2, fine-tunes with it at 5e-5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from afterbert.base.errors import UserError
from afterbert.training.optimizers import Optimizer, decay_groups


@dataclass(frozen=True)
class Adamax(Optimizer):
    """weight_decay: added to the gradient, as in torch; 0 as in the paper.

    >>> Adamax(beta1=1.0)
    Traceback (most recent call last):
    afterbert.base.errors.UserError: beta1 is 1.0 and beta2 is 0.999; both must be at least 0 and below 1
    """

    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    decay_embeddings: bool = True

    def __post_init__(self) -> None:
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise UserError(
                f"beta1 is {self.beta1} and beta2 is {self.beta2}; both must be at least 0 and below 1"
            )

    def build(self, module: nn.Module) -> torch.optim.Adamax:
        groups = decay_groups(module, weight_decay=self.weight_decay, embeddings=self.decay_embeddings)
        for group in groups:
            group["initial_lr"] = self.learning_rate
        return torch.optim.Adamax(
            groups, lr=self.learning_rate, betas=(self.beta1, self.beta2), eps=self.eps, foreach=True
        )
