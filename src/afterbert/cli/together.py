"""One command in several processes: under torchrun or Slurm they train together, and one of them speaks."""

from collections.abc import Callable

import torch

from afterbert.api.terminal import console
from afterbert.training.devices import default_device
from afterbert.training.distribution.distributed import joined, timeout_from
from afterbert.training.distribution.launch import launched
from afterbert.training.distribution.processes import Processes, SingleProcess


def together(work: Callable[[Processes, torch.device], int]) -> int:
    """Calls `work` and returns what it returns, with the processes that the launcher started and with this one's
    device.

    Raises UserError; of an error that several processes meet only one has something to say.
    """
    launch = launched()
    device = default_device(launch.local_rank if launch else 0)
    if launch is None:
        return work(SingleProcess(), device)
    with joined(launch, device=device, timeout=timeout_from()) as processes:
        console.quiet = not processes.leads
        return work(processes, device)
