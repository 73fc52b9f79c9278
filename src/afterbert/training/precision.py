"""Which number format the matrix products take; weights, gradients and scores stay in fp32."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from afterbert.base.errors import UserError

#: Decides what "auto" takes, whatever the device: for machines that must agree with each other, and for tests.
AUTO = "AFTERBERT_AUTO_PRECISION"


@dataclass(frozen=True)
class Precision:
    """The format taken, and why, in words for the log."""

    name: Literal["fp32", "bf16"]
    reason: str

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Returns the context for a forward pass. bf16 has fp32's range, so gradients need no scaling."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)


def name_of_device(device: torch.device) -> str:
    """Returns the kind of device; for a GPU with its model.

    >>> name_of_device(torch.device("cpu"))
    'cpu'
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def choose(asked: Literal["auto", "fp32", "bf16"], device: torch.device) -> Precision:
    """Says what `asked` means on this device. "auto" depends on the environment's AFTERBERT_AUTO_PRECISION or else on
    the kind of device, never on a measurement: a clock must not reach the weights. Raises UserError if the environment
    names no precision."""
    if asked != "auto":
        return Precision(asked, "as the recipe says")
    if written := os.environ.get(AUTO):
        if written not in ("fp32", "bf16"):
            raise UserError(f"{AUTO} is {written!r}; write fp32 or bf16, or leave it out")
        return Precision("fp32" if written == "fp32" else "bf16", f"as {AUTO} says")
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return Precision("bf16" if fast else "fp32", f"this GPU {'has' if fast else 'has no'} bf16 units")
    if device.type == "cpu":
        # AVX512-BF16 alone is not enough: a step of 4 layers, 512 wide, took 1.4 s in bf16 and 0.9 s in fp32.
        fast = bool(torch.cpu.get_capabilities().get("amx_bf16"))
        return Precision("bf16" if fast else "fp32", f"this CPU {'has' if fast else 'has no'} AMX bf16 tiles")
    return Precision("fp32", f"bf16 is not tried on {device.type}")
