"""`training.compile`: the backbone goes through torch.compile, and the run is the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn
from toy_run import TWELVE, run_toy, toy_module, toy_training

from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
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


def test_compile_and_fsdp_are_refused_together() -> None:
    with pytest.raises(UserError, match="leave one of them out"):
        Training(TWELVE, compile=True, parallel="fsdp")
