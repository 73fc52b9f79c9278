"""How the copies of a module in several processes learn as one: whole copies whose gradients are averaged (DDP)."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.distribution.processes import Processes

# Buffers are tables and flags that every process computes alike. Older versions of torch have only the second name.
_NAMES = inspect.signature(DistributedDataParallel).parameters
_BUFFERS = "forward_sync_buffers" if "forward_sync_buffers" in _NAMES else "broadcast_buffers"


class Parallel(ABC):
    """The way one process makes the passes of a step. Gradients come out averaged over the processes."""

    module: ObjectiveModule
    meets_in_passes = False  # whether every forward pass, also in evaluation, waits for the other processes

    @abstractmethod
    def scores(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the module's summed scores."""

    @abstractmethod
    def apart(self) -> AbstractContextManager:
        """Returns a context in which a pass leaves its gradients in this process; for all but the last of a step."""

    def idle_passes(self, own: int, processes: Processes) -> int:
        """Returns how many passes without effect this process must make beside its `own`."""
        return 0

    def settle(self) -> None:
        """Makes the module's parameters those that the optimizer knows, after passes without a backward pass."""


class Single(Parallel):
    """The way of a single process."""

    def __init__(self, module: ObjectiveModule):
        self.module = module

    def scores(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.module(arrays)

    def apart(self) -> AbstractContextManager:
        return nullcontext()


class Replicas(Parallel):
    """A whole copy in every process (torch's DistributedDataParallel).

    A mixture's batch may leave heads unused, so unused parameters are looked for; that also keeps DDP from
    regrouping its buckets after the first step, which would change the last bits of a resumed run.
    """

    def __init__(self, module: ObjectiveModule):
        self.module = module
        settings: dict[str, Any] = {_BUFFERS: False, "find_unused_parameters": True}
        self._copy = DistributedDataParallel(module, **settings)

    def scores(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._copy(arrays)

    def apart(self) -> AbstractContextManager:
        return self._copy.no_sync()
