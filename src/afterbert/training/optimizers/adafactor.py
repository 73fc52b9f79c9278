"""Steps as large as the weights are: of Adam's second moment one mean a row and one a column, and no first moment.

Source: Shazeer and Stern 2018 (1804.04235), Algorithms 4 and 5, without its schedule, which is the run's own; T5
(1910.10683), Section 3.1.2, pre-trains and fine-tunes with it.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.numbers import NotNegative, Positive
from afterbert.training.distribution.pieces import beside, in_one
from afterbert.training.optimizers import ByWeight, Optimizer

_SMALLEST_SQUARE = 1e-30  # Section 9


@dataclass(frozen=True)
class Adafactor(Optimizer):
    """AdaFactor, whose running means are kept by rows and columns."""

    learning_rate: Positive = 1e-2
    """A share of each matrix's own root mean square, or of `smallest_scale` if that is larger."""
    beta2_decay: Annotated[float, Field(lt=0)] = -0.8
    """Step t keeps 1 - t**beta2_decay of the means."""
    smallest_scale: Positive = 1e-3
    clip: Positive = 1.0
    """The largest root mean square of an update before it is scaled."""
    weight_decay: NotNegative = 0.0
    """The decoupled decay."""
    decay_embeddings: bool = True
    """Whether embedding tables decay like other matrices."""

    numbers_per_weight: ClassVar[float] = 0  # of a matrix it keeps a row and a column
    is_relative = True

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        return _Factored(self.groups(module), self)


class _Factored(ByWeight):
    """State of a matrix [R, C]: `rows` [R, 1] and `columns` [1, C], whole in every process; of a vector: `squares`."""

    def move(self, weight: nn.Parameter, gradient: Tensor, group: dict) -> None:
        if group["weight_decay"]:
            weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.sub_(self._update(weight, gradient, group["lr"]))

    def _update(self, parameter: Tensor, gradient: Tensor, rate: float) -> Tensor:
        state, config = self.state[parameter], self.config
        state["step"] = state.get("step", 0) + 1
        new = state["step"] ** config.beta2_decay  # the share of this gradient in the means
        squares = gradient.square()
        if gradient.ndim < 2:
            means = _running(state, "squares", squares + _SMALLEST_SQUARE, new)
            update = gradient * means.rsqrt()
        else:
            rows = _running(state, "rows", _mean(squares, -1), new)
            columns = _running(state, "columns", _mean(squares, -2), new)
            of_rows = (rows / rows.mean(-2, keepdim=True)).rsqrt()
            update = (gradient * beside(of_rows, gradient)).mul_(beside(columns.rsqrt(), gradient))
        scale = _root_mean_square(parameter).clamp(min=config.smallest_scale)
        excess = (_root_mean_square(update) / config.clip).clamp(min=1.0)
        return update.mul_(beside(rate * scale / excess, gradient))


def _running(state: dict[str, Any], name: str, found: Tensor, new: float) -> Tensor:
    """The running mean of this name, moved towards what was found."""
    known = state.get(name)
    if known is not None and type(known) is not type(found):
        known = in_one(known)  # a matrix of one column came back in pieces
    state[name] = found if known is None else known.lerp_(found, new)
    return state[name]


def _mean(squares: Tensor, axis: int) -> Tensor:
    """Of all processes' pieces; as sums, since pieces need not be equally large."""
    return in_one(squares.sum(axis, keepdim=True)) / squares.shape[axis] + _SMALLEST_SQUARE


def _root_mean_square(tensor: Tensor) -> Tensor:
    return in_one(torch.linalg.vector_norm(tensor)) / tensor.numel() ** 0.5
