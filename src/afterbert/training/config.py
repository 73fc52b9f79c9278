"""Everything about a training run that is not the objective, the model or the data: one frozen tree."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.training.averages import Average
from afterbert.training.batch_sizes import BatchSizes
from afterbert.training.optimizers import Optimizer
from afterbert.training.optimizers.adamw import AdamW
from afterbert.training.schedules import Schedule
from afterbert.training.schedules.linear import Linear
from afterbert.training.trackers import Tracker

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
        "track",
    ]
)


Count = Annotated[int, Field(ge=1, le=1_000_000)]


Order = Literal["shuffled", "contiguous", "neighbours"]


@dataclass(frozen=True)
class LongRows:
    """Rows of another length towards the end of a run.

    Source: BERT (1810.04805), A.2: 90% of the steps at length 128, the rest at 512.
    """

    length: Annotated[int, Field(ge=8, le=1_000_000)] = 512
    """How many pieces a row holds, special ones included."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """The share of the steps. Batches have as many rows as they would have anyway."""


@dataclass(frozen=True)
class LargerBatch:
    """A stage of a run whose steps read more rows than the first ones do.

    Source: Smith et al. 2018 (1711.00489). One update of many rows takes less time than several of few, and late in a
    run it is worth as much.
    """

    times: Annotated[int, Field(ge=2, le=10_000)] = 2
    """How many times `batch_size` a step reads."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The share of the steps; what all stages leave is read in steps of `batch_size`, first."""


@dataclass(frozen=True)
class Training:
    """The settings by which one run trains."""

    budget: Budget
    """How long to train; the schedule is laid over it. A time becomes a number of steps once, when the run begins."""
    optimizer: Optimizer = field(default_factory=AdamW)
    schedule: Schedule = field(default_factory=Linear)
    average: Average | None = None
    """Which average of the weights is evaluated and exported; None: the last weights."""
    batch_size: Count = 32
    """How many rows an update is made from, over all processes."""
    batch_growth: tuple[LargerBatch, ...] = ()
    """Stages of larger batches at the end of the run, in their order."""
    micro_batch_size: Count | None = None
    """How many rows are in memory at once; None: the whole batch."""
    max_grad_norm: Annotated[float, Field(gt=0, le=1e9)] | None = 1.0
    """Gradients with a larger norm are scaled down to it; None: never."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """With auto, bf16 where the hardware is known to multiply it faster; the run says what it took."""
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    """The seed of order, masks and fresh weights."""
    views: Count | None = None
    """Epoch e sees view e mod views of the data (1: the same masks each time); None: always a new one."""
    order: Order = "shuffled"
    """With contiguous, row slot i of a batch continues slot i of the batch before (segment memory). With neighbours, a
    batch is rows that follow each other in the text, so that a contrastive objective compares like with like."""
    evaluate_every: Budget | None = None
    """How often held-out text is evaluated; None: only at the end."""
    checkpoint_every: Budget = Budget(600, "seconds")
    """How often a checkpoint is saved. It may be a time, since saving does not touch the weights."""
    keep_checkpoints: Count = 2
    """How many of the newest checkpoints are kept."""
    log_every: Annotated[int, Field(ge=1, le=10**9)] = 10
    """How many steps lie between two lines of the log."""
    track: Tracker | None = None
    """A tool that gets all figures while the run goes, beside `metrics.jsonl`; None: no tool."""
    non_finite: Literal["stop", "skip", "rewind"] = "stop"
    """What happens at a NaN or infinite loss or gradient; never an update. Skip leaves the step out. Rewind goes back
    to the last checkpoint and leaves out the data from there to the bad step (PaLM, 2204.02311 Section 5.1). What it
    does depends on which checkpoints there are: write `checkpoint_every` in steps where such a run must repeat."""
    non_finite_limit: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    """How many times a run skips or rewinds at most."""
    spikes: Literal["warn", "skip"] = "warn"
    """What happens at a loss more than 6 standard deviations above the mean of the last 128."""
    deterministic: bool = False
    """Whether only kernels are used that repeat bit for bit; on CPU this is always so."""
    on_out_of_memory: Literal["halve", "stop"] = "halve"
    """Whether to go on with half the micro-batch, which gives the same gradients, or to stop."""
    on_disk_full: Literal["stop", "continue"] = "stop"
    """Whether to stop or to go on without a checkpoint when the disk is full."""
    workers: Annotated[int, Field(ge=0, le=256)] = 1
    """How many threads prepare batches ahead; any number gives the same batches."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """With several processes, whether each holds the whole model (ddp) or a part (fsdp). Only the last bits differ."""
    compile: bool = False
    """Whether the backbone goes through torch.compile, which takes a minute at the start, needs a C++ compiler on CPU,
    and pays on a GPU."""

    def __post_init__(self) -> None:
        if self.compile and self.parallel == "fsdp":
            raise UserError("compile has not been tried with parallel fsdp; leave one of them out, or take ddp")

        if sum(stage.share for stage in self.batch_growth) >= 1:
            raise UserError("the shares of batch_growth leave no step to batch_size; lower them below 1 in all")
        if self.batch_growth and self.order != "shuffled":
            raise UserError(
                f"batch_growth needs rows in any order, and training.order {self.order} says which stand in a batch; "
                "leave one of them out"
            )

    @property
    def batch_sizes(self) -> BatchSizes:
        """How many rows each step reads, over all processes."""
        later = [stage.share for stage in self.batch_growth]
        sizes = [self.batch_size, *(stage.times * self.batch_size for stage in self.batch_growth)]
        return BatchSizes(tuple(sizes), (1 - sum(later), *later))

    @property
    def rows_at_once(self) -> int:
        """How many rows are asked to be in memory at once."""
        largest = max(self.batch_sizes.sizes)
        return min(self.micro_batch_size or largest, largest)
