"""The global random generators: torch's (dropout draws from it), the GPU's, numpy's and Python's. Our own
noise has no state."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


def seed(number: int, *, rank: int = 0, step: int = 0) -> None:
    """Starts all of them from one number; in another process, or at a later step, elsewhere."""
    if rank or step:
        number = int.from_bytes(hashlib.sha256(f"{number}/{rank}/{step}".encode()).digest()[:7])
    torch.manual_seed(number)
    np.random.seed(number % 2**32)
    random.seed(number)


@dataclass(frozen=True)
class Generators:
    """The states of the generators: taken at every step, so kept as they are given; packed only for a checkpoint."""

    torch_state: torch.Tensor
    cuda_state: torch.Tensor | None
    numpy_state: tuple
    python_state: tuple

    @classmethod
    def now(cls, device: torch.device) -> Generators:
        """Returns the states at this moment; the GPU's state is that of `device`."""
        on_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        of_numpy: Any = np.random.get_state(legacy=True)
        return cls(torch.get_rng_state(), on_gpu, of_numpy, random.getstate())

    def put_back(self, device: torch.device) -> None:
        """Sets all generators to these states."""
        torch.set_rng_state(self.torch_state)
        np.random.set_state(self.numpy_state)
        random.setstate(self.python_state)
        if self.cuda_state is not None and device.type == "cuda":
            torch.cuda.set_rng_state(self.cuda_state, device)

    def packed(self) -> dict[str, torch.Tensor]:
        """Packs them as uint8 tensors; those that torch does not make itself hold JSON."""
        name, keys, *rest = self.numpy_state
        states = {
            "torch": self.torch_state,
            "numpy": _bytes([name, keys.tolist(), *rest]),
            "python": _bytes(self.python_state),
        }
        return states if self.cuda_state is None else {**states, "cuda": self.cuda_state}

    @classmethod
    def unpacked(cls, states: Mapping[str, torch.Tensor]) -> Generators:
        """Returns the states that `packed` packed."""
        name, keys, *rest = json.loads(states["numpy"].numpy().tobytes())
        version, inner, kept = json.loads(states["python"].numpy().tobytes())
        return cls(
            torch_state=states["torch"],
            cuda_state=states.get("cuda"),
            numpy_state=(name, np.array(keys, dtype=np.uint32), *rest),
            python_state=(version, tuple(inner), kept),
        )


def _bytes(value: Any) -> torch.Tensor:
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
