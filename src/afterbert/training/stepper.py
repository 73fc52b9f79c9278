"""One update: the gradient in micro-batches that fit into memory, and the move."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from afterbert.base.errors import UserError
from afterbert.objectives import Batch
from afterbert.training.checkpoints.generators import Generators
from afterbert.training.config import Training
from afterbert.training.feed import Feed
from afterbert.training.step import Gradient, Passes


@dataclass(frozen=True)
class Fitted:
    """A gradient, the micro-batches it came from, and the largest of the sizes tried that fits into memory."""

    gradient: Gradient
    batches: Sequence[Batch]
    micro_batch_size: int


@dataclass(frozen=True)
class Stepper:
    """Makes the updates of one module with one optimizer."""

    passes: Passes
    optimizer: torch.optim.Optimizer
    feed: Feed
    training: Training

    def gradient(self, batches: Sequence[Batch], *, data_step: int, micro_batch_size: int) -> Fitted:
        """Computes the gradient of these micro-batches and leaves it in the parameters. When memory runs out it takes
        smaller micro-batches of the same rows.

        Every try starts from the same generators and carried state. Raises UserError if a single row does not fit, or
        when smaller micro-batches would fit but the recipe says "stop". Several processes do not try again, since the
        others are in the midst of the step.
        """
        module, processes, device = self.passes.parallel.module, self.passes.processes, self.passes.device
        generators, carried = Generators.now(device), module.carried_state()
        size = micro_batch_size
        while (found := self._try(batches)) is None:
            if size == 1:
                raise UserError(
                    "memory runs out with a single row; take shorter rows or a smaller model, or free memory"
                )
            if module.compares_rows:
                raise UserError(
                    f"memory runs out with {size} rows, which are compared with each other and cannot be divided; take "
                    "a smaller batch_size or shorter rows"
                )
            size = (size + 1) // 2
            if processes.size > 1:
                raise UserError(
                    f"memory runs out with micro-batches of {micro_batch_size} rows; set micro_batch_size to "
                    f"{size}, which gives the same gradients, and start again"
                )
            self.optimizer.zero_grad(set_to_none=True)
            generators.put_back(device)
            module.load_carried_state(carried)
            share = {"rank": processes.rank, "world_size": processes.size}
            batches = self.feed.step(data_step, micro_batch_size=size, **share)
        if size < micro_batch_size and self.training.on_out_of_memory == "stop":
            raise UserError(
                f"memory runs out with micro-batches of {micro_batch_size} rows; "
                f"micro_batch_size {size} fits and gives the same gradients"
            )
        return Fitted(found, batches, size)

    def update(self, found: Gradient, factor: float) -> None:
        """Clips the gradient and moves the weights, at this share of the peak learning rate."""
        if self.training.max_grad_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(
                self.passes.parallel.module.parameters(),
                self.training.max_grad_norm,
                torch.tensor(found.norm, device=self.passes.device, dtype=torch.float32),
            )
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        self.optimizer.step()

    def _try(self, batches: Sequence[Batch]) -> Gradient | None:
        """The gradient; None when memory ran out. What the failed pass held is free once this returns."""
        try:
            return self.passes.gradient(batches)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if self.passes.device.type == "cuda":
            torch.cuda.empty_cache()
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error says that memory ran out. On the CPU torch has no type of its own for it."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
