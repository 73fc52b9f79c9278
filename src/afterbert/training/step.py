"""The gradient of one step, from any number of micro-batches: 1 x 32 rows and 4 x 8 rows give the same."""

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from afterbert.objectives import Batch
from afterbert.training.devices import device_of
from afterbert.training.distribution.parallel import Parallel
from afterbert.training.distribution.pieces import in_one
from afterbert.training.distribution.processes import Processes, SingleProcess
from afterbert.training.precision import Precision


@dataclass(frozen=True)
class Gradient:
    """The outcome of the passes of one step; the gradients themselves stand in the parameters.

    losses: part -> mean over the whole step; total: their weighted sum; norm: of the whole gradient, before
    clipping; by_batch: part -> sum of each of this process's micro-batches; counts: part -> how many things
    the step asked; num_tokens: pieces that it read, in all processes.
    """

    losses: dict[str, float]
    total: float
    norm: float
    by_batch: list[dict[str, float]]
    counts: dict[str, int]
    num_tokens: int

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.total) and math.isfinite(self.norm)


@dataclass(frozen=True)
class Passes:
    """The passes of a step that one process makes, on the device where its module is."""

    parallel: Parallel
    precision: Precision
    processes: Processes = SingleProcess()

    @cached_property
    def device(self) -> torch.device:
        return device_of(self.parallel.module)

    def gradient(self, batches: Sequence[Batch]) -> Gradient:
        """Runs forward and backward over all micro-batches; gradients are added to the parameters' `.grad`.

        The counts of all micro-batches and processes are added first, so each pass back-propagates its share of
        weight * sum / max(count, 1) of the whole step. A step that asks nothing gives losses 0.
        """
        parallel, module = self.parallel, self.parallel.module
        counts, num_tokens = total_counts(batches, module.loss_weights, self.processes)
        module.before_passes(counts)
        idle = parallel.idle_passes(len(batches), self.processes)
        sums = []
        for number, batch in enumerate(batches):
            with nullcontext() if number + 1 == len(batches) and not idle else parallel.apart():
                # One that asks nothing may hold a borrowed row, for the others' sake; it must leave no trace.
                asks = any(batch.counts.values())
                found = self._pass(batch, counts, share=self.processes.size if asks else 0.0)
                sums.append(found if asks else {})
        if idle:
            self._pass_idly(batches[-1], idle, counts)
        norm = grad_norm(module)
        zero = torch.zeros((), device=self.device)
        names = sorted(counts)
        # All figures cross from the device at once: each crossing waits for all that was asked of it before.
        flat = torch.stack([norm, *(batch.get(name, zero).float() for batch in sums for name in names)])
        norm_value, *values = flat.double().tolist()
        by_batch = [dict(zip(names, values[i : i + len(names)])) for i in range(0, len(values), len(names) or 1)]
        totals = self.processes.total([sum(batch[name] for batch in by_batch) for name in names])
        losses = {name: total / max(counts[name], 1) for name, total in zip(names, totals)}
        total = sum(module.loss_weights[name] * loss for name, loss in losses.items())
        return Gradient(losses, total, norm_value, by_batch, counts, num_tokens)

    def _pass(self, batch: Batch, counts: Mapping[str, int], *, share: float) -> dict[str, torch.Tensor]:
        """One micro-batch forward and backward; part -> its sum, detached.

        share: the number of processes: DDP and FSDP average gradients over them, but the counts are of all, so the
        average is undone.
        """
        with self.precision.autocast(self.device):
            scores = self.parallel.scores(to_tensors(batch.arrays, self.device))
        unknown = scores.keys() - counts.keys()
        assert not unknown, f"the batch gives no count for the score's {sorted(unknown)}"
        weights = self.parallel.module.loss_weights
        shares = [score.float() * (share * weights[name] / max(counts[name], 1)) for name, score in scores.items()]
        if shares:
            loss = torch.stack(shares).sum()
            if loss.requires_grad:
                loss.backward()
        return {name: score.detach() for name, score in scores.items()}

    def _pass_idly(self, batch: Batch, times: int, counts: Mapping[str, int]) -> None:
        """Passes that change nothing, because other processes have more micro-batches and wait at each."""
        carried = self.parallel.module.carried_state()
        for number in range(times):
            with nullcontext() if number + 1 == times else self.parallel.apart():
                self._pass(batch, counts, share=0.0)
        self.parallel.module.load_carried_state(carried)


def total_counts(batches: Sequence[Batch], parts: Collection[str], processes: Processes) -> tuple[dict[str, int], int]:
    """Returns part -> how many things the whole step asks, over all micro-batches and processes, for those `parts` that
    any batch counts; and how many tokens it reads."""
    names = sorted(parts)
    mine = [sum(batch.counts.get(name, 0) for batch in batches) for name in names]
    named = [any(name in batch.counts for batch in batches) for name in names]
    tokens = sum(batch.num_tokens for batch in batches)
    found = [round(number) for number in processes.total([tokens, *mine, *named])]
    asked = zip(names, found[1:], found[1 + len(names) :])
    return {name: count for name, count, is_named in asked if is_named}, found[0]


def grad_norm(module: torch.nn.Module) -> torch.Tensor:
    """Returns the 2-norm of all gradients together, a float32 scalar on the parameters' device."""
    parameters = list(module.parameters())
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = in_one(torch.nn.utils.get_total_norm(gradients)).float()
    return norm.to(parameters[0].device)  # of no gradients it is on the processor


def to_tensors(arrays: Mapping[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """Returns the arrays on the device, types unchanged."""
    found = {}
    for name, array in arrays.items():
        own = array if array.flags.writeable and array.flags.c_contiguous else np.array(array, order="C")
        tensor = torch.from_numpy(own)
        if device.type == "cuda":
            tensor = tensor.pin_memory().to(device, non_blocking=True)
        found[name] = tensor.to(device)
    return found
