"""`training.compile`: the backbone goes through torch.compile, and the run is the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from toy_run import TWELVE, run_toy, toy_module, toy_training

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.training import trainer
from afterbert.training.config import Training

compiled = nn.Module.compile


@pytest.mark.slow
def test_the_backbone_is_compiled_once_for_all_shapes_and_learns_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[nn.Module, dict[str, Any]]] = []

    def compile_without_kernels(self: nn.Module, **settings: Any) -> None:
        seen.append((self, settings))
        compiled(self, backend="eager", **settings)

    monkeypatch.setattr(nn.Module, "compile", compile_without_kernels)
    losses = []
    for name, training in (("plain", toy_training()), ("compiled", toy_training(compile=True))):
        module = toy_module(dropout=0.0)
        run_toy(tmp_path / name, training, module=module)
        records = RunFolder.create(tmp_path, name).metrics.read()
        losses.append([record["loss"] for record in records if record["kind"] == "step"])
    assert seen == [(module.backbone, {"dynamic": True})]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


@pytest.mark.slow
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
