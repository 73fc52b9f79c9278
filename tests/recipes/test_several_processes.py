"""Recipes of every kind, trained by one process, then two, then one again: the losses of one unbroken process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SPLIT, feed_of, fresh, tiny_recipe

from afterbert.base.config import to_plain
from afterbert.base.runs import RunFolder
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.distribution.distributed import joined
from afterbert.training.distribution.launch import Launch
from afterbert.training.distribution.processes import Processes, SingleProcess
from afterbert.training.observers import Observer
from afterbert.training.trainer import train

# One visibility and a pair question; a generator; two streams with a memory; shared layers; encoder and decoder;
# halting; stages by view. In shards, those whose layers go different ways.
RECIPES = ("bert", "electra", "xlnet", "albert-sop", "t5", "universal-transformer", "ernie")
IN_SHARDS = ("bert", "electra", "xlnet", "albert-sop", "t5")
RUNS = [(name, "ddp") for name in RECIPES] + [(name, "fsdp") for name in IN_SHARDS]
STEPS, FIRST, SECOND = 9, 3, 6


class StopsAfter(Observer):
    """Asks its own process to stop."""

    def __init__(self, step: int):
        self.step = step

    def on_step(self, record) -> None:
        if record["step"] == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def leg(folder: Path, name: str, parallel: str, until: int, processes: Processes) -> int:
    """Trains a recipe's run in `folder` until a step; the step where it stopped."""
    recipe = tiny_recipe(name, steps=STEPS)
    training = replace(recipe.training, parallel=parallel, evaluate_every=None)
    outcome = train(
        RunFolder.create(folder, f"{name}-{parallel}"),
        fresh(recipe),
        feed_of(recipe),
        training,
        identity=RunIdentity(to_plain(recipe), SPLIT.fingerprint, "toy"),
        observers=[StopsAfter(until)] if until < STEPS else [],
        processes=processes,
    )
    return outcome.step


def member(folder: Path, rank: int, port: int) -> None:
    """The second leg of all runs, as one of two processes."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    launch = Launch(rank=rank, size=2, local_rank=rank, address="127.0.0.1", port=port)
    with joined(launch, device=torch.device("cpu"), timeout=60.0) as processes:
        for name, parallel in RUNS:
            assert leg(folder, name, parallel, SECOND, processes) == SECOND


def losses(folder: Path, name: str, parallel: str) -> list[float]:
    records = RunFolder.open(folder / f"{name}-{parallel}").metrics.read()
    steps = [record for record in records if record["kind"] == "step"]
    assert [record["step"] for record in steps] == list(range(1, STEPS + 1))
    return [record["loss"] for record in steps]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """The folder of all runs, each with its first two legs."""
    folder = tmp_path_factory.mktemp("runs")
    for name, parallel in RUNS:
        assert leg(folder, name, parallel, FIRST, SingleProcess()) == FIRST
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = multiprocessing.get_context("forkserver")
    members = [server.Process(target=member, args=(folder, rank, port)) for rank in range(2)]
    for process in members:
        process.start()
    for process in members:
        process.join(250)
        if process.is_alive():
            process.kill()
    assert [process.exitcode for process in members] == [0, 0]
    return folder


@pytest.mark.fault
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize(("name", "parallel"), RUNS)
def test_one_two_one(runs: Path, tmp_path: Path, name: str, parallel: str) -> None:
    assert leg(runs, name, parallel, STEPS, SingleProcess()) == STEPS
    assert leg(tmp_path, name, parallel, STEPS, SingleProcess()) == STEPS
    np.testing.assert_allclose(losses(runs, name, parallel), losses(tmp_path, name, parallel), rtol=1e-5)
