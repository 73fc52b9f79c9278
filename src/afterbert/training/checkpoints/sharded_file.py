"""Tensors in pieces on disk: a folder of safetensors files, one of each process, with the place of every piece.

torch's distributed checkpoint writes and reads them ("HuggingFaceStorageWriter", `save_distributed=True`), so any
number of processes can read what any other number wrote; no pickle is involved.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from afterbert.base.runs import make_durable
from afterbert.training.checkpoints import tensor_file
from afterbert.training.checkpoints.tensor_file import Digest


def write(folder: Path, tensors: Mapping[str, Tensor], *, rank: int) -> dict[str, Digest]:
    """Writes this process's pieces into a new folder; collective. Name in the folder -> digest. Raises OSError, in all
    processes what failed in any."""
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        dcp.save(dict(tensors), storage_writer=writer)
    except CheckpointException as error:  # no Exception by its type
        for cause, _ in error.failures.values():
            if isinstance(cause, OSError):
                raise cause from error
        raise RuntimeError(str(error)) from error
    own = sorted(folder.glob(f"shard-{rank + 1:05d}-*.safetensors"))
    for path in own:
        make_durable(path)
    make_durable(folder)
    return {path.name: tensor_file.digest(path) for path in own}


def read(folder: Path, like: Callable[[str, torch.Size], Tensor | None] | None = None) -> dict[str, Tensor]:
    """Returns all tensors: in the shards that `like` gives for a name and a shape, whole where it gives none."""
    metadata = HuggingFaceStorageReader(str(folder)).read_metadata()
    found: dict[str, Tensor] = {}
    for name, entry in metadata.state_dict_metadata.items():
        assert isinstance(entry, TensorStorageMetadata)
        model = like(name, entry.size) if like else None
        found[name] = (
            torch.empty(entry.size, dtype=entry.properties.dtype)
            if model is None
            else torch.empty_like(model, dtype=entry.properties.dtype).detach()
        )
    with warnings.catch_warnings():  # each process reads for itself, as it should
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        dcp.load(found, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
    return found
