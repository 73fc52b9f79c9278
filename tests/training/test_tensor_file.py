"""Our writer against the safetensors library's reader and writer."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from afterbert.base.errors import UserError
from afterbert.training.checkpoints import tensor_file

KINDS = list(tensor_file._NAMES)


def many():
    torch.manual_seed(0)
    tensors = {f"t{i}": (torch.randn(3, i + 1) * 9).to(kind) for i, kind in enumerate(KINDS)}
    tensors["scalar"] = torch.tensor(3.0)
    tensors["empty"] = torch.zeros(0, 4)
    tensors["turned"] = torch.arange(12).reshape(3, 4).T
    tensors["ä/b c"] = torch.ones(2)
    return tensors


def test_the_library_reads_what_we_write(tmp_path):
    tensors = many()
    digest = tensor_file.write(tmp_path / "ours", tensors)
    for found in (load_file(tmp_path / "ours"), tensor_file.read(tmp_path / "ours")):
        assert found.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert found[name].dtype == tensor.dtype
            assert torch.equal(found[name], tensor), name
    assert digest == tensor_file.digest(tmp_path / "ours")
    assert digest.size == (tmp_path / "ours").stat().st_size == tensor_file.size_of(tensors)


def test_we_read_what_the_library_writes(tmp_path):
    tensors = {name: tensor.contiguous() for name, tensor in many().items()}
    save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    found = tensor_file.read(tmp_path / "theirs")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_bits_survive(tmp_path):
    odd = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    tensor_file.write(tmp_path / "file", {"odd": odd})
    found = tensor_file.read(tmp_path / "file")["odd"]
    assert torch.equal(found.view(torch.int32), odd.view(torch.int32))


def test_what_is_read_lies_in_torchs_memory(tmp_path):
    """As aligned as fresh tensors are, and not mapped from the file."""
    tensor_file.write(tmp_path / "file", {"a": torch.ones(3), "b": torch.ones(5)})
    found = tensor_file.read(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"")
    assert found["b"].sum() == 5
    assert all(tensor.data_ptr() % 64 == 0 for tensor in found.values())


def test_what_is_no_safetensors_file(tmp_path):
    (tmp_path / "file").write_bytes(b"\x80\x04\x95 a pickle, say")
    with pytest.raises(UserError, match="no safetensors file"):
        tensor_file.read(tmp_path / "file")


def test_an_existing_file_is_not_overwritten(tmp_path):
    tensor_file.write(tmp_path / "file", {})
    with pytest.raises(FileExistsError):
        tensor_file.write(tmp_path / "file", {})
