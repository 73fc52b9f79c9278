"""The loop on a GPU: exact where that was asked for, with its own generator, its own memory, its own kernels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_run import (
    StopAt,
    Stopped,
    ToyModule,
    assert_same_weights,
    losses,
    run_toy,
    toy_evaluate,
    toy_feed,
    toy_module,
    toy_training,
)

from afterbert.base.budget import Budget
from afterbert.base.runs import RunFolder
from afterbert.training.checkpoints.generators import Generators
from afterbert.training.distribution.parallel import Single
from afterbert.training.precision import choose
from afterbert.training.step import Passes

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.timeout(300),  # the first compilation takes its time
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores"),
]

GPU = torch.device("cuda")


@pytest.mark.parametrize(
    "changes", [{"precision": "fp32"}, {"precision": "bf16"}, {"workers": 2}, {"compile": True}], ids=str
)
def test_a_resumed_run_is_the_unbroken_one(tmp_path: Path, changes: dict) -> None:
    """Dropout, memory, fused AdamW, evaluations that draw numbers: every bit of every loss and weight."""
    training = toy_training(
        deterministic=True, checkpoint_every=Budget(5, "steps"), evaluate_every=Budget(4, "steps"), **changes
    )

    def run(name: str, **options) -> None:
        module = toy_module(carries=True).to(GPU)
        run_toy(tmp_path / name, training, module=module, evaluate=toy_evaluate, **options)

    run("whole")
    for stop in (3, 7, 12):
        with pytest.raises(Stopped):
            run("broken", observers=[StopAt(stop)])
    run("broken")
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert_same_weights(tmp_path / "broken", tmp_path / "whole")


def test_the_generator_of_the_gpu_comes_back() -> None:
    before = Generators.now(GPU)
    drawn = torch.rand(4, device=GPU)
    Generators.unpacked(before.packed()).put_back(GPU)
    assert torch.equal(torch.rand(4, device=GPU), drawn)


def test_a_step_without_any_gradient() -> None:
    class NoGraph(ToyModule):
        def forward(self, arrays):
            return {"masked": torch.zeros((), device=GPU)}

    passes = Passes(Single(NoGraph().to(GPU)), choose("auto", GPU))
    found = passes.gradient(toy_feed(toy_training()).step(0))
    assert (found.total, found.norm) == (0, 0)


def test_memory_that_really_runs_out(tmp_path: Path) -> None:
    class Greedy(ToyModule):
        def forward(self, arrays):
            if len(arrays["piece_ids"]) > 4:
                torch.empty(1 << 50, dtype=torch.uint8, device=GPU)
            return super().forward(arrays)

    outcome = run_toy(tmp_path / "run", module=Greedy().to(GPU))
    assert outcome.state == "finished"
    notes = [record["text"] for record in RunFolder(tmp_path / "run").metrics.read() if "text" in record]
    assert "memory ran out with micro-batches of 8 rows; going on with 4" in notes
