"""The body of one of several processes that fine-tune a model together."""

import os
from dataclasses import replace
from pathlib import Path

import torch

from afterbert.base.runs import RunFolder
from afterbert.training.distribution.distributed import joined
from afterbert.training.distribution.launch import Launch
from afterbert.training.distribution.processes import Processes
from afterbert.training.trainer import train


def run_tasks(path: Path, bench, *, processes: Processes | None = None) -> None:
    """Trains, and logs every step."""
    torch.manual_seed(0)
    train(
        RunFolder.create(path.parent, path.name),
        bench.module(),
        bench.feed(0),
        replace(bench.settings.training(0), log_every=1),
        identity=bench.identity(0),
        processes=processes,
    )


def member(path: str, bench, *, rank: int, size: int, port: int) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    launch = Launch(rank=rank, size=size, local_rank=rank, address="127.0.0.1", port=port)
    with joined(launch, device=torch.device("cpu"), timeout=30.0) as processes:
        run_tasks(Path(path), bench, processes=processes)
