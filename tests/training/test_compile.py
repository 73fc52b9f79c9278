"""`training.compile`: the backbone goes through torch.compile, and the run is the same run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from toy_run import TWELVE, StopAt, Stopped, assert_same_weights, losses, run_toy, toy_feed, toy_module, toy_training

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.training import trainer
from afterbert.training.config import Training

compiled = nn.Module.compile


def test_the_backbone_is_compiled_once_for_all_shapes_and_learns_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[nn.Module, dict[str, Any]]] = []

    def compile_without_kernels(self: nn.Module, **settings: Any) -> None:
        seen.append((self, settings))
        compiled(self, backend="eager", **settings)

    monkeypatch.setattr(nn.Module, "compile", compile_without_kernels)
    found = []
    for name, training in (("plain", toy_training()), ("compiled", toy_training(compile=True))):
        module = toy_module(dropout=0.0)
        run_toy(tmp_path / name, training, module=module)
        records = RunFolder.create(tmp_path, name).metrics.read()
        found.append([record["loss"] for record in records if record["kind"] == "step"])
    assert seen == [(module.backbone, {"dynamic": True})]
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_a_resumed_run_compiles_for_the_shapes_that_the_unbroken_one_met_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.Module, "compile", lambda self, **settings: None)
    training = toy_training(compile=True, checkpoint_every=Budget(5, "steps"))
    first = []
    for name, stops in (("whole", []), ("broken", [7, 7, None])):
        for stop in stops or [None]:
            module, read = toy_module(carries=True), []
            module.backbone.register_forward_pre_hook(lambda part, given, to=read: to.append(given[0].tolist()))
            with pytest.raises(Stopped) if stop else nullcontext():
                run_toy(tmp_path / name, training, module=module, observers=[StopAt(stop or 99)])
            first.append(read[0])
    batch = toy_feed(training).step(0)[0]
    assert first == [batch.arrays["piece_ids"].tolist()] * 4
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert_same_weights(tmp_path / "broken", tmp_path / "whole")


@pytest.mark.parametrize(("device", "repeats"), [("cpu", True), ("cuda", True), ("cuda", False)])
def test_kernels_are_chosen_by_rules_where_a_run_must_repeat(device: str, repeats: bool) -> None:
    """By the clock, a resumed run could meet other kernels than an unbroken one."""
    from torch._inductor import config

    before = config.deterministic
    training = toy_training(compile=True, deterministic=repeats)
    with trainer._repeatable(torch.device(device), training):
        assert config.deterministic == (repeats or before)
        assert torch.are_deterministic_algorithms_enabled() == repeats
    assert config.deterministic == before
    assert not torch.are_deterministic_algorithms_enabled()


def test_compile_and_fsdp_are_refused_together() -> None:
    with pytest.raises(UserError, match="leave one of them out"):
        Training(TWELVE, compile=True, parallel="fsdp")
