"""The one rule by which work finds its device: who makes or loads a model puts it where it is told to, or else on the
GPU where there is one; who is handed a model works where that is."""

import torch
from torch import nn

from afterbert.base.errors import UserError


def default_device(local_rank: int = 0) -> torch.device:
    """Returns the GPU of this process where there is one, else the processor. local_rank: which process of this machine
    it is. Raises UserError if there are fewer GPUs than processes."""
    gpus = torch.cuda.device_count()
    if gpus == 0:
        return torch.device("cpu")
    if local_rank >= gpus:
        raise UserError(
            f"process {local_rank} of this machine finds {gpus} GPUs; start at most one process a GPU "
            f"(--nproc-per-node {gpus})"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def device_of(module: nn.Module) -> torch.device:
    """Tells where a module's weights are; a finished graph has none and runs on the processor."""
    return next((weight.device for weight in module.parameters()), torch.device("cpu"))
