"""Adam with decoupled weight decay.

Source: Loshchilov and Hutter 2019 (1711.05101), Algorithm 2; torch's own kernel. BERT's release leaves out
Adam's bias correction; torch has it, which only matters in the first steps, during warm-up.
"""

from dataclasses import dataclass

import torch
from torch import nn

from afterbert.base.numbers import NotNegative
from afterbert.training.optimizers._adam import AdamKind

_FUSED_ON = {"cpu", "cuda"}


@dataclass(frozen=True)
class AdamW(AdamKind):
    """
    >>> AdamW(beta2=1.0)
    Traceback (most recent call last):
    afterbert.base.errors.UserError: beta1 is 0.9 and beta2 is 1.0; both must be at least 0 and below 1
    """

    weight_decay: NotNegative = 0.01

    def build(self, module: nn.Module) -> torch.optim.AdamW:
        return adamw(self.groups(module), self)


def adamw(groups: list[dict], config: AdamKind) -> torch.optim.AdamW:
    """Builds torch's AdamW over these groups, with its fused kernel where all their weights can have it."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    fused = all(p.device.type in _FUSED_ON and p.is_floating_point() for p in parameters)
    betas = (config.beta1, config.beta2)
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, eps=config.eps, fused=fused)
