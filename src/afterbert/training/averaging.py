"""The average of a module's weights beside the weights that are trained."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from afterbert.training.averages import Average
from afterbert.training.distribution.pieces import like


class RunningAverage:
    """Keeps the average that `config` asks for, of the parameters that want a gradient; none where that is None, or
    before the first step that counts. `tensors`: parameter's name -> its average, in pieces where it is."""

    def __init__(self, module: nn.Module, config: Average | None):
        self._own = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
        self._config = config
        self.tensors: dict[str, Tensor] = {}

    def told(self, total_steps: int) -> list[str]:
        """Says which average is kept, for the user; nothing where none is."""
        return [] if self._config is None else [self._config.told(total_steps)]

    @torch.no_grad()
    def follow(self, step: int, total_steps: int) -> None:
        """Moves the average to the weights as update number `step` (0-based) left them."""
        share = 0.0 if self._config is None else self._config.share_of_new(step, total_steps)
        if share > 0 and not self.tensors:
            self.tensors = {name: weight.detach().clone() for name, weight in self._own.items()}
        elif share > 0:
            for name, weight in self._own.items():
                self.tensors[name].lerp_(weight.detach(), share)

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Takes over what `tensors` were when a checkpoint was made."""
        self.tensors = {
            name: like(tensor, self._own[name]).to(self._own[name].device).clone() for name, tensor in saved.items()
        }

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Gives the module the average as its weights inside the block."""
        trained = {name: self._own[name].detach().clone() for name in self.tensors}
        self.put_in()
        try:
            yield
        finally:
            self._copy(trained)

    def put_in(self) -> None:
        """Gives the module the average for its weights, for good."""
        self._copy(self.tensors)

    @torch.no_grad()
    def _copy(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self._own[name].copy_(tensor)
