"""The files of a store: flat little-endian arrays, values of few bits packed, each with a record of its size
and digests."""

import hashlib
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash

from afterbert.base.errors import UserError

_END_BYTES = 4096


class ArrayFile:
    """A file being written, array by array.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> file = ArrayFile(folder / "some.bin", dtype="<u2")
    >>> file.append(np.array([1, 2]))
    >>> file.close()["size"]
    4
    """

    def __init__(self, path: Path, *, dtype: str):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._dtype = path, np.dtype(dtype)
        self._file: BinaryIO = open(path, "wb")  # noqa: SIM115  closed by `close`
        self._sha256, self._xxh3 = hashlib.sha256(), xxhash.xxh3_128()

    def append(self, values: np.ndarray) -> None:
        """Writes these values behind the others."""
        raw = np.ascontiguousarray(values, dtype=self._dtype).tobytes()
        self._sha256.update(raw)
        self._xxh3.update(raw)
        self._file.write(raw)

    def close(self) -> dict[str, Any]:
        """Brings the file to the disk and returns its record: its size, sha256 and xxh3, and the xxh3 of its two
        ends. The first digest tells what the store holds, the second finds damage at the speed of memory."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return _record(self._path, self._sha256.hexdigest(), self._xxh3.hexdigest())


class PackedFile(ArrayFile):
    """A file of values of 1, 2, 4 or 8 bits, the first value in the lowest bits of a byte."""

    def __init__(self, path: Path, *, width: int):
        super().__init__(path, dtype="u1")
        self._width, self._rest = width, np.zeros(0, dtype=np.uint8)

    def append(self, values: np.ndarray) -> None:
        waiting = np.concatenate((self._rest, np.asarray(values, dtype=np.uint8)))
        whole = len(waiting) // (8 // self._width) * (8 // self._width)
        super().append(pack(waiting[:whole], self._width))
        self._rest = waiting[whole:]

    def close(self) -> dict[str, Any]:
        super().append(pack(self._rest, self._width))
        return super().close()


def pack(values: np.ndarray, width: int) -> np.ndarray:
    """Returns values [N] of `width` bits packed as uint8 [ceil(N * width / 8)].

    >>> pack(np.array([1, 0, 3]), 2).tolist(), pack(np.array([True, False, True]), 1).tolist()
    ([49], [5])
    """
    values = np.asarray(values, dtype=np.uint8)
    assert width == 8 or not (values >> width).any(), f"values fit in {width} bits"
    bits = np.unpackbits(values[:, None], axis=1, count=width, bitorder="little")
    return np.packbits(bits.ravel(), bitorder="little")


def unpack(packed: np.ndarray, index: np.ndarray, width: int) -> np.ndarray:
    """Returns the values at these places [N]: bool [N], or uint8 [N] where width > 1.

    >>> unpack(np.array([49], dtype=np.uint8), np.array([2, 0]), 2).tolist()
    [3, 1]
    """
    per_byte = 8 // width
    shifts = (index % per_byte * width).astype(np.uint8)
    values = (packed[index // per_byte] >> shifts) & np.uint8((1 << width) - 1)
    return values.astype(bool) if width == 1 else values


def mapped(path: Path, dtype: str) -> np.ndarray:
    """Returns the array in a file, memory-mapped and read-only; for an empty file an empty array."""
    if path.stat().st_size == 0:
        return np.zeros(0, dtype=dtype)
    # A plain view: gathering from the memmap class itself takes twice as long.
    return np.asarray(np.memmap(path, dtype=dtype, mode="r"))


def is_mapped(value: object) -> bool:
    """Returns whether this is an array in a memory-mapped file, which is cheaper to open again than to copy."""
    while isinstance(value, np.ndarray):
        value = value.base
    return isinstance(value, mmap.mmap)


def record_of(path: Path) -> dict[str, Any]:
    """Returns the record of a file that was written in another way."""
    return _record(path, _digest(path, hashlib.sha256), _digest(path, xxhash.xxh3_128))


def check(path: Path, record: Mapping[str, Any], *, whole: bool) -> None:
    """Compares a file with its record: its size, and the digest of all of it or else of its two ends. Raises
    UserError."""
    advice = "copy the store again or prepare it anew"
    try:
        size = path.stat().st_size
        if size != record["size"]:
            raise UserError(f"{path} has {size:,} bytes, store.json says {record['size']:,}; {advice}")
        if not whole:
            kind, found = "ends", _ends_digest(path, size)
        elif "xxh3" in record:
            kind, found = "xxh3", _digest(path, xxhash.xxh3_128)
        else:  # a store of version 0.1 has no other
            kind, found = "sha256", _digest(path, hashlib.sha256)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {advice}") from error
    if found != record[kind]:
        raise UserError(
            f"{path} was changed: its digest is {found[:12]}, store.json says {record[kind][:12]}; {advice}"
        )


def _record(path: Path, sha256: str, xxh3: str) -> dict[str, Any]:
    size = path.stat().st_size
    return {"size": size, "sha256": sha256, "xxh3": xxh3, "ends": _ends_digest(path, size)}


def _ends_digest(path: Path, size: int) -> str:
    with open(path, "rb") as file:
        digest = xxhash.xxh3_64(file.read(_END_BYTES))
        file.seek(max(0, size - _END_BYTES))
        digest.update(file.read(_END_BYTES))
    return digest.hexdigest()


def _digest(path: Path, digest: Any) -> str:
    """What this digest of hashlib or xxhash says of the file."""
    with open(path, "rb", buffering=0) as file:
        return str(hashlib.file_digest(file, digest).hexdigest())
