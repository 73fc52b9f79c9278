"""Safetensors files, written one tensor at a time with their digest, and read into memory of torch's own.

The library's writer first copies every tensor into host memory; a checkpoint of the size of the machine
would not fit beside its model. The format is a length, a JSON header and the bytes (safetensors README,
"Format"); reading is left to the library.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from afterbert.base.errors import UserError

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.uint16: "U16",
    torch.uint32: "U32",
    torch.uint64: "U64",
    torch.bool: "BOOL",
}


@dataclass(frozen=True)
class Digest:
    """Size in bytes and sha256 of a file."""

    size: int
    sha256: str


def size_of(tensors: Mapping[str, torch.Tensor]) -> int:
    """Returns the bytes of a file of these tensors, header included."""
    return len(_header(tensors)) + sum(tensor.nbytes for tensor in tensors.values())


def write(path: Path, tensors: Mapping[str, torch.Tensor], *, midway: Callable[[], None] | None = None) -> Digest:
    """Writes and syncs the file; the digest is taken from memory, so reading the file back proves the disk.
    Raises OSError.

    `midway` is called when about half the tensors are in the file.
    """
    names = _order(tensors)

    def chunks() -> Iterator[bytes | memoryview]:  # one tensor in host memory at a time
        yield _header(tensors)
        for number, name in enumerate(names):
            if midway and number == len(names) // 2:
                midway()
            whole = tensors[name].detach().cpu().contiguous().reshape(-1)
            yield whole.view(torch.uint8).numpy().data if whole.numel() else b""

    return write_chunks(path, chunks())


def write_chunks(path: Path, chunks: Iterable[bytes | memoryview]) -> Digest:
    """Writes, syncs and digests a new file from pieces of bytes. Raises OSError."""
    sha, size = hashlib.sha256(), 0
    with open(path, "xb") as file:
        for chunk in chunks:
            file.write(chunk)
            sha.update(chunk)
            size += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return Digest(size, sha.hexdigest())


def digest(path: Path) -> Digest:
    """Returns the size and sha256 of a file on disk. Raises OSError."""
    with open(path, "rb") as file:
        sha = hashlib.file_digest(file, "sha256")
        return Digest(file.tell(), sha.hexdigest())


def read(path: Path) -> dict[str, torch.Tensor]:
    """Returns all tensors, in memory that torch allocated. Raises UserError for a file that is no safetensors file.

    The copies matter: kernels may round differently on memory that is aligned differently, and a mapped file's is.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    except SafetensorError as error:
        raise UserError(f"{path} is no safetensors file ({error}); it was not written by afterbert") from error


def _order(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Wide types first, so that every tensor starts at a multiple of its item's size."""
    return sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))


def _header(tensors: Mapping[str, torch.Tensor]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name in _order(tensors):
        tensor = tensors[name]
        entries[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + tensor.nbytes],
        }
        at += tensor.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
