"""Everything about a training run that is not the objective, the model or the data: one frozen tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.training.optimizers import Optimizer
from afterbert.training.optimizers.adamw import AdamW
from afterbert.training.schedules import Schedule
from afterbert.training.schedules.linear import Linear

#: Settings of `Training` that touch no weights as long as nothing goes wrong: a run may be resumed with others.
HARMLESS = frozenset(
    [
        "checkpoint_every",
        "keep_checkpoints",
        "evaluate_every",
        "log_every",
        "workers",
        "non_finite",
        "non_finite_limit",
        "on_disk_full",
        "on_out_of_memory",
        "parallel",
    ]
)


@dataclass(frozen=True)
class Training:
    """How one run trains.

    - `budget`: how long; the schedule is laid over it. A time is turned into steps once, when the run begins.
    - `batch_size`: rows an update is made from, over all processes. - `micro_batch_size`: rows in memory at
    once; None: all of them. - `precision`: "auto" takes bf16 where the hardware is known to multiply it
    faster, and says what it took. - `views`: epoch e sees view e mod views of the data (1: the same masks
    each time); None: always a new one. - `order`: "contiguous" makes row slot i of a batch continue slot i of
    the batch before (segment memory). - `evaluate_every`: None evaluates at the end only. -
    `checkpoint_every`: may be a time, since it does not touch the weights. - `non_finite`: what a NaN or
    infinite loss or gradient leads to; never to an update. "skip" leaves the step out, "rewind" goes back to
    the last checkpoint and leaves out the data from there to the bad step (PaLM, 2204.02311 Section 5.1);
    both at most `non_finite_limit` times in a run. What a rewind does depends on which checkpoints there are,
    so write `checkpoint_every` in steps where such a run must repeat exactly. - `spikes`: what a loss more
    than 6 standard deviations above the mean of the last 128 leads to. - `deterministic`: only kernels that
    give the same bits again; on CPU this is always so. - `on_out_of_memory`: "halve" goes on with half the
    micro-batch and the same gradients. - `workers`: threads that prepare batches ahead; none, one or many
    give the same batches. - `parallel`: of several processes, "ddp" holds the whole model in each, "fsdp" a part
    in each; touches only the last bits. - `compile`: the model's backbone through torch.compile, which takes a
    minute at the start, needs a C++ compiler on CPU, and pays on a GPU.
    """

    budget: Budget
    optimizer: Optimizer = field(default_factory=AdamW)
    schedule: Schedule = field(default_factory=Linear)
    batch_size: Annotated[int, Field(gt=0)] = 32
    micro_batch_size: Annotated[int, Field(gt=0)] | None = None
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    views: Annotated[int, Field(gt=0)] | None = None
    order: Literal["shuffled", "contiguous"] = "shuffled"
    evaluate_every: Budget | None = None
    checkpoint_every: Budget = Budget(600, "seconds")
    keep_checkpoints: Annotated[int, Field(gt=0)] = 2
    log_every: Annotated[int, Field(gt=0)] = 10
    non_finite: Literal["stop", "skip", "rewind"] = "stop"
    non_finite_limit: Annotated[int, Field(ge=0)] = 10
    spikes: Literal["warn", "skip"] = "warn"
    deterministic: bool = False
    on_out_of_memory: Literal["halve", "stop"] = "halve"
    on_disk_full: Literal["stop", "continue"] = "stop"
    workers: Annotated[int, Field(ge=0)] = 1
    parallel: Literal["ddp", "fsdp"] = "ddp"
    compile: bool = False

    def __post_init__(self) -> None:
        if self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            raise UserError(
                f"micro_batch_size {self.micro_batch_size} is more than batch_size {self.batch_size}; "
                "a micro-batch is a part of the batch"
            )
        if self.compile and self.parallel == "fsdp":
            raise UserError(
                "compile has not been tried with parallel fsdp; leave one of them out, or take ddp"
            )
