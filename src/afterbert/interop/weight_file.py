"""A model's weight file, the same bytes for the same model."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from afterbert.base.runs import replacing

_LENGTH_BYTES = 8  # of the header, little-endian, at the start of the file (safetensors README, "Format")


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file whose metadata stand in order of their names; the whole file stands at `path`
    afterwards, readable by whoever may read the files beside it, or nothing does.

    The library orders the tensors but writes metadata in a random order, so that no two files of one model
    would have the same digest, and makes the file its owner's alone. Raises OSError.
    """
    with replacing(path) as beside:
        beside.touch()
        usual_mode = stat.S_IMODE(beside.stat().st_mode)
        save_file(dict(tensors), beside, metadata=dict(metadata))
        _order_metadata(beside)
        beside.chmod(usual_mode)


def _order_metadata(path: Path) -> None:
    with open(path, "r+b") as file:
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        ordered = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        assert len(ordered) == length, "only the order may change"
        file.seek(_LENGTH_BYTES)
        file.write(ordered)
