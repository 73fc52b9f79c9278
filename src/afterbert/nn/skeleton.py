"""Modules without weights: the names and shapes of their parameters, with nothing allocated and nothing drawn."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWS = {"normal_", "uniform_", "trunc_normal_"}


class _NothingDrawn(TorchFunctionMode):
    """Leaves a tensor as it is where random numbers would fill it."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        named: Mapping[str, Any] = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


@contextmanager
def skeleton() -> Iterator[None]:
    """Builds modules without storage inside the block. To draw numbers for a tensor that has no storage, PyTorch would
    load its compiler, which takes longer than all that a short command does."""
    with torch.device("meta"), _NothingDrawn():
        yield
