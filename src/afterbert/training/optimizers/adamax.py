"""Adam by the largest gradient there was (infinity norm) instead of a mean of squares.

Source: Kingma and Ba 2015 (1412.6980), Algorithm 2; torch's own kernel, whose `eps` stands inside the maximum.
MT-DNN (1901.11504), Section 4.2, fine-tunes with it at 5e-5.
"""

from dataclasses import dataclass

import torch
from torch import nn

from afterbert.base.numbers import Positive
from afterbert.training.optimizers._adam import AdamKind


@dataclass(frozen=True)
class Adamax(AdamKind):
    """weight_decay: added to the gradient, as in torch; 0 as in the paper.

    >>> Adamax(beta1=1.0)
    Traceback (most recent call last):
    afterbert.base.errors.UserError: beta1 is 1.0 and beta2 is 0.999; both must be at least 0 and below 1
    """

    learning_rate: Positive = 2e-3

    def build(self, module: nn.Module) -> torch.optim.Adamax:
        betas = (self.beta1, self.beta2)
        return torch.optim.Adamax(self.groups(module), lr=self.learning_rate, betas=betas, eps=self.eps, foreach=True)
