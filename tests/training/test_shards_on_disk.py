"""Checkpoints in pieces (FSDP): what becomes of a damaged piece, and of a disk that takes no more."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from toy_run import toy_module

from afterbert.training.checkpoints import snapshot
from afterbert.training.checkpoints.checkpoint import Checkpoints
from afterbert.training.checkpoints.manifest import why_bad
from afterbert.training.checkpoints.writing import SaveError


@pytest.fixture(scope="module")
def tensors() -> Iterator[dict[str, torch.Tensor]]:
    """Weights in pieces, of which this process holds the only one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        module = toy_module()
        fully_shard(module, mesh=init_device_mesh("cpu", (1,)))
        yield snapshot.weights(module)
    finally:
        dist.destroy_process_group()


def saved(folder: Path, tensors: dict[str, torch.Tensor], *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(folder, keep=2)
    for step in steps:
        checkpoints.save(step, {"model": tensors}, {"step": step})
    return checkpoints


def test_what_is_saved_comes_back_whole(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    newest, _ = saved(tmp_path, tensors, 5).latest()
    assert newest is not None and (newest.path / "model").is_dir()
    found = newest.tensors("model")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor.full_tensor()), name


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "extra", "link"])
def test_a_damaged_piece_is_found(tmp_path: Path, tensors: dict[str, torch.Tensor], damage: str) -> None:
    checkpoints = saved(tmp_path, tensors, 5, 10)
    (piece,) = (tmp_path / "step-000010" / "model").iterdir()
    raw = bytearray(piece.read_bytes())
    if damage == "flipped":
        raw[-1] ^= 1
        piece.write_bytes(raw)
    elif damage == "cut":
        piece.write_bytes(raw[:-1])
    elif damage == "missing":
        piece.unlink()
    elif damage == "extra":
        shutil.copy(piece, piece.with_name("shard-00002-model-00001-of-00001.safetensors"))
    else:
        piece.rename(tmp_path / "elsewhere")
        piece.symlink_to(tmp_path / "elsewhere")
    newest, (note,) = checkpoints.latest()
    assert newest is not None and newest.step == 5
    assert "step-000010 is damaged (model/shard-" in note


def test_a_disk_that_takes_no_more(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    checkpoints = saved(tmp_path, tensors, 5)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(SaveError, match=r"needs [\d,]+ bytes, [\d,]+ are free in .*File too large"):
            checkpoints.save(10, {"model": tensors}, {"step": 10})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [entry.name for entry in tmp_path.iterdir()] == ["step-000005"]
    assert why_bad(tmp_path / "step-000005") is None
    assert checkpoints.save(10, {"model": tensors}, {"step": 10}).step == 10
