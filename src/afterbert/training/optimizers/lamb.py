"""Adam whose step is as long, for each weight, as the weight itself is: for very large batches.

Source: LAMB (You et al. 2019, 1904.00962), Algorithm 2, with the bias correction that its Section 3 has; ALBERT
(1909.11942), Section 4.1, pre-trains with it. What does not decay (biases, gains) moves as in plain Adam, and a weight
or a step of length 0 is not scaled. The paper's phi, which may bound the length of a weight, is the identity here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from afterbert.base.numbers import NotNegative, Positive
from afterbert.training.distribution.pieces import beside, in_one
from afterbert.training.optimizers import ByWeight
from afterbert.training.optimizers._adam import AdamKind


@dataclass(frozen=True)
class Lamb(AdamKind):
    """The learning rate is a share of each matrix's own length, whatever the size of its gradients."""

    learning_rate: Positive = 1e-3
    eps: Positive = 1e-6
    weight_decay: NotNegative = 0.01

    is_relative = True

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        return _Lamb(self.groups(module), self)


class _Lamb(ByWeight):
    """State of a weight: `mean` and `squares`, of its shape and in pieces where it is, and the number of the step."""

    def move(self, weight: nn.Parameter, gradient: Tensor, group: dict) -> None:
        update = self._adapted(weight, gradient)
        if group["weight_decay"]:
            update.add_(weight, alpha=group["weight_decay"])
        if group["is_spared"]:
            weight.sub_(update, alpha=group["lr"])
        else:
            weight.sub_(update.mul_(beside(group["lr"] * _trust(weight, update), update)))

    def _adapted(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        """Adam's step for a learning rate of 1."""
        state, config = self.state[parameter], self.config
        state["step"] = step = state.get("step", 0) + 1
        if step == 1:
            state["mean"], state["squares"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        mean = state["mean"].lerp_(gradient, 1 - config.beta1)
        squares = state["squares"].mul_(config.beta2).addcmul_(gradient, gradient, value=1 - config.beta2)
        deviation = (squares / (1 - config.beta2**step)).sqrt_().add_(config.eps)
        return mean / (1 - config.beta1**step) / deviation


def _trust(parameter: Tensor, update: Tensor) -> Tensor:
    """The ratio of lengths, a scalar that every process has whole; 1 where one of them is 0."""
    weight, step = (in_one(torch.linalg.vector_norm(one)) for one in (parameter, update))
    return torch.where((weight > 0) & (step > 0), weight / step, 1.0)
