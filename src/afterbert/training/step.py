"""The gradient of one step, from any number of micro-batches: 1 x 32 rows and 4 x 8 rows give the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from afterbert.objectives import Batch, ObjectiveModule
from afterbert.training.precision import Precision
from afterbert.training.processes import Processes


@dataclass(frozen=True)
class Gradient:
    """What the passes of one step gave; the gradients themselves stand in the parameters.

    losses: part -> mean over the whole step; total: their weighted sum; norm: of the whole gradient, before
    clipping; by_batch: part -> sum of each of this process's micro-batches; counts: part -> how many things
    the step asked.
    """

    losses: dict[str, float]
    total: float
    norm: float
    by_batch: list[dict[str, float]]
    counts: dict[str, int]

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.total) and math.isfinite(self.norm)


def gradient(
    module: ObjectiveModule,
    batches: Sequence[Batch],
    *,
    device: torch.device,
    precision: Precision,
    processes: Processes,
) -> Gradient:
    """Runs forward and backward over all micro-batches; gradients are added to the parameters' `.grad`.

    The counts of all micro-batches and processes are added first, so each pass back-propagates its share of
    weight * sum / max(count, 1) of the whole step. A step that asks nothing gives losses 0.
    """
    counts = total_counts(batches, processes)
    sums = [_pass(module, batch, counts, device, precision, processes) for batch in batches]
    names = sorted(set().union(*sums))
    norm = grad_norm(module)
    zero = torch.zeros((), device=device)
    # All figures cross from the device at once: each crossing waits for all that was asked of it before.
    flat = torch.stack([norm, *(batch.get(name, zero).float() for batch in sums for name in names)])
    norm_value, *values = flat.double().tolist()
    by_batch = [dict(zip(names, values[i : i + len(names)])) for i in range(0, len(values), len(names) or 1)]
    totals = processes.total([sum(batch[name] for batch in by_batch) for name in names])
    losses = {name: total / max(counts[name], 1) for name, total in zip(names, totals)}
    return Gradient(
        losses=losses,
        total=sum(module.loss_weights[name] * loss for name, loss in losses.items()),
        norm=norm_value,
        by_batch=by_batch,
        counts=counts,
    )


def total_counts(batches: Sequence[Batch], processes: Processes) -> dict[str, int]:
    """Part -> how many things the whole step asks, over all micro-batches and processes."""
    names = sorted(set().union(*(batch.counts for batch in batches)))
    mine = [sum(batch.counts.get(name, 0) for batch in batches) for name in names]
    return {name: round(count) for name, count in zip(names, processes.total(mine))}


def grad_norm(module: torch.nn.Module) -> torch.Tensor:
    """The 2-norm of all gradients together, float32 scalar on their device."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).float()


def to_tensors(arrays: Mapping[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """The arrays on the device, types unchanged."""
    found = {}
    for name, array in arrays.items():
        own = array if array.flags.writeable and array.flags.c_contiguous else np.array(array, order="C")
        tensor = torch.from_numpy(own)
        if device.type == "cuda":
            tensor = tensor.pin_memory().to(device, non_blocking=True)
        found[name] = tensor.to(device)
    return found


def _pass(
    module: ObjectiveModule,
    batch: Batch,
    counts: Mapping[str, int],
    device: torch.device,
    precision: Precision,
    processes: Processes,
) -> dict[str, torch.Tensor]:
    """One micro-batch forward and backward; part -> its sum, detached."""
    with precision.autocast(device):
        scores = module(to_tensors(batch.arrays, device))
    unknown = scores.keys() - counts.keys()
    assert not unknown, f"the batch gives no count for the score's {sorted(unknown)}"
    # DDP and FSDP average gradients over processes; the counts are of all of them, so the average is undone.
    shares = [
        score.float() * (processes.size * module.loss_weights[name] / max(counts[name], 1))
        for name, score in scores.items()
    ]
    if shares:
        loss = torch.stack(shares).sum()
        if loss.requires_grad:
            loss.backward()
    return {name: score.detach() for name, score in scores.items()}
