"""Tensors of which each process holds a piece (torch's DTensor), told from whole ones without importing what only they
need."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def is_piece(tensor: Tensor) -> bool:
    """Returns whether the tensor lies in several processes."""
    return hasattr(tensor, "device_mesh")


def any_piece(tensors: Mapping[str, Tensor]) -> bool:
    """Returns whether one of the tensors lies in several processes."""
    return any(is_piece(tensor) for tensor in tensors.values())


def like(whole: Tensor, own: Tensor) -> Tensor:
    """Returns this process's piece of a whole tensor, where its `own` tensor of the same shape is a piece; else the
    whole."""
    if not is_piece(own) or is_piece(whole) or whole.shape != own.shape:
        return whole
    from torch.distributed.tensor import distribute_tensor

    pieces: Any = own
    return distribute_tensor(whole.to(own.device), pieces.device_mesh, pieces.placements, src_data_rank=None)


def in_one(tensor: Any) -> Tensor:
    """Returns the whole tensor. The call is collective where the tensor is in pieces; all processes get it."""
    return tensor.full_tensor() if is_piece(tensor) else tensor


def here(tensor: Any) -> Tensor:
    """Returns this process's piece of the tensor; a whole tensor itself."""
    return tensor.to_local() if is_piece(tensor) else tensor


def beside(whole: Tensor, own: Any) -> Tensor:
    """Returns a tensor that every process has whole, in a form that can be multiplied with a piece; beside a whole
    tensor, the tensor itself."""
    if not is_piece(own):
        return whole
    from torch.distributed.tensor import DTensor, Replicate

    mesh = own.device_mesh
    return DTensor.from_local(whole, mesh, [Replicate()] * mesh.ndim, run_check=False)
