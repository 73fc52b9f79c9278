"""What watches the losses: spikes, and the record of a step that gave no finite number."""

import json
import math
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from afterbert.base.errors import UserError
from afterbert.training.checkpoints import tensor_file
from afterbert.training.config import Training
from afterbert.training.distribution.processes import Processes
from afterbert.training.progress import SPIKE_WINDOW, Progress
from afterbert.training.stepper import Fitted

SPIKE_SIGMAS = 6.0
_NAMED_PARAMETERS = 20


class Diverged(UserError):
    """A loss or gradient was not finite, and the policy says stop. No update was made from it."""


def is_spike(loss: float, recent: Sequence[float]) -> bool:
    """Returns whether a loss is more than 6 standard deviations above the mean of the last 128; never with fewer.

    >>> is_spike(9.0, [1.0, 1.1] * 64), is_spike(9.0, [1.0, 1.1] * 63), is_spike(0.0, [1.0, 1.1] * 64)
    (True, False, False)
    """
    if len(recent) < SPIKE_WINDOW:
        return False
    last = recent[-SPIKE_WINDOW:]
    mean = statistics.fmean(last)
    return loss > mean + SPIKE_SIGMAS * statistics.pstdev(last, mean)


@dataclass(frozen=True)
class StepVerdict:
    """A decision: what to do with a step, and what is said about it where it is out of the ordinary."""

    do: Literal["update", "skip", "rewind"]
    why: str = ""
    kind: Literal["spike", "non_finite"] = "spike"


def judge(
    found: Fitted, progress: Progress, training: Training, module: nn.Module, folder: Path, *, processes: Processes
) -> StepVerdict:
    """Decides what the figures of a step lead to, in all processes alike; counts it in `progress`. A NaN or
    infinity never leads to an update.

    Raises Diverged, after a diagnosis in `folder` (one of each process where there are several), when the rules
    say "stop" or their limit is reached.
    """
    loss, step = found.gradient.total, progress.step + 1
    if found.gradient.is_finite:
        if not is_spike(loss, progress.recent_losses):
            return StepVerdict("update")
        progress.spikes += 1
        if training.spikes == "warn":
            return StepVerdict("update", f"step {step}: the loss jumped to {loss:.4g}; trained on")
        progress.recent_losses.append(loss)  # so that a new level is not left out for ever
        return StepVerdict("skip", f"step {step}: the loss jumped to {loss:.4g}; left out")
    progress.non_finite += 1
    part = next((name for name, loss in found.gradient.losses.items() if not math.isfinite(loss)), None)
    what = (
        f"part '{part}' of the loss is {found.gradient.losses[part]}" if part else "the gradient is not finite"
    ) + _where(found, processes)
    limit = training.non_finite_limit
    if training.non_finite != "stop" and progress.non_finite <= limit:
        return StepVerdict(training.non_finite, f"step {step}: {what}; {training.non_finite}", "non_finite")
    folder = folder / f"step-{step:06d}"
    own = folder if processes.size == 1 else folder / f"process-{processes.rank}"
    write_diagnosis(own, found, module, step=step)
    often = "" if training.non_finite == "stop" else f" (time {progress.non_finite}, {limit} are allowed)"
    raise Diverged(
        f"step {step}: {what}{often}; nothing was learned from it, its batch lies in {folder}; "
        "lower the learning rate; a recipe may also set training.non_finite to skip or rewind, and go on"
    )


def _where(found: Fitted, processes: Processes) -> str:
    """In which of several processes the score was not finite, in words."""
    if processes.size == 1:
        return ""
    is_bad = any(not math.isfinite(value) for sums in found.gradient.by_batch for value in sums.values())
    bad = [str(rank) for rank, is_bad_there in enumerate(processes.gathered(is_bad)) if is_bad_there]
    return f" (in process {', '.join(bad)} of {processes.size})" if bad else ""


def write_diagnosis(folder: Path, found: Fitted, module: nn.Module, *, step: int) -> None:
    """Writes the micro-batches of a bad step as safetensors, and what is known about it as `diagnosis.json`; replaces
    an older diagnosis.

    Raises OSError.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for number, batch in enumerate(found.batches):
        arrays = {name: torch.from_numpy(np.array(array, order="C")) for name, array in batch.arrays.items()}
        tensor_file.write(folder / f"batch-{number}.safetensors", arrays)
    named = dict(module.named_parameters())
    figures = {
        "step": step,
        "losses": {name: repr(loss) for name, loss in found.gradient.losses.items()},
        "grad_norm": repr(found.gradient.norm),
        "batches": [
            {
                "row_keys": [int(key) for key in batch.row_keys],
                "sums": {name: repr(value) for name, value in sums.items()},
            }
            for batch, sums in zip(found.batches, found.gradient.by_batch)
        ],
        "parameters_with_bad_gradient": [
            n for n, one in named.items() if one.grad is not None and not one.grad.isfinite().all()
        ][:_NAMED_PARAMETERS],
        "parameters_bad_themselves": [n for n, one in named.items() if not one.isfinite().all()][:_NAMED_PARAMETERS],
    }
    (folder / "diagnosis.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
