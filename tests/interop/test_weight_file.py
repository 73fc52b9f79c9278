"""The same model gives the same file, and the library reads it."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from afterbert.interop.weight_file import write_weights


def test_same_bytes_each_time(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(5.0), "a": torch.ones(2, 3, dtype=torch.bfloat16)}
    metadata = {"format": "pt", "ä": 'with "quotes" and \\ and \n', **{f"key{n}": str(n) for n in range(6)}}
    written = []
    for number in range(5):  # the library alone gives several orders of eight keys
        write_weights(tmp_path / str(number), tensors, metadata)
        written.append((tmp_path / str(number)).read_bytes())
    assert set(written) == {written[0]}
    read = load_file(tmp_path / "0")
    assert read.keys() == tensors.keys() and all(torch.equal(read[name], tensors[name]) for name in tensors)
    with safe_open(tmp_path / "0", framework="pt") as file:
        assert file.metadata() == metadata
