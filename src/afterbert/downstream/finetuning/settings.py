"""How a model is fine-tuned: one frozen tree, the same for all kinds of tasks."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal

from pydantic import Field

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.mixing import Mixing
from afterbert.base.mixing.proportional import Proportional
from afterbert.downstream.finetuning.layer_decay import LayerDecay
from afterbert.downstream.heads import Head
from afterbert.models import Summary
from afterbert.training.config import Training
from afterbert.training.optimizers import Optimizer
from afterbert.training.optimizers.adamw import AdamW
from afterbert.training.schedules import Schedule
from afterbert.training.schedules.linear import Linear

_BERT_WIDTH, _BERT_RATE, _HIGHEST_RATE = 768, 5e-5, 2e-3


def usual_learning_rate(width: int) -> float:
    """Returns a learning rate for a model of this hidden size when nobody names one: 5e-5 for BERT's 768 and wider ones
    (1810.04805, Appendix A.3), and for narrower ones more, by the square of the width, up to 2e-3 (docs/log.md: at 5e-5
    models of width 128 hardly move, at 4e-3 they are worse again).

    >>> usual_learning_rate(768), usual_learning_rate(384), usual_learning_rate(128), usual_learning_rate(16)
    (5e-05, 0.0002, 0.0018, 0.002)
    """
    return min(_HIGHEST_RATE, float(f"{_BERT_RATE * max(1.0, _BERT_WIDTH / width) ** 2:.2g}"))


@dataclass(frozen=True)
class FineTuning:
    """The settings of fine-tuning. Defaults are BERT's (1810.04805, Appendix A.3), with one of its learning rates."""

    budget: Budget = Budget(3, "epochs")
    batch_size: Annotated[int, Field(gt=0)] = 32
    """How many rows an update is made from, all of one task."""
    micro_batch_size: Annotated[int, Field(gt=0)] | None = None
    """How many rows are in memory at once, with the same gradients; None: the whole batch."""
    length: Annotated[int, Field(ge=8)] = 128
    """The most pieces of a row."""
    optimizer: Optimizer = field(default_factory=lambda: AdamW(learning_rate=5e-5))
    schedule: Schedule = field(default_factory=lambda: Linear(warmup=0.1))
    head: Head | None = None
    """The head of all tasks; None: the one that fits each task."""
    heads: dict[str, Head] = field(default_factory=dict)
    """A task, or a kind of task -> its head, in place of `head`."""
    summary: Summary | None = None
    """What speaks for a row: one of its pieces, or the mean of all; None: what is usual for the model."""
    head_start: Literal["drawn", "probed"] | None = None
    """How the last layer of classes and numbers starts: by chance, or as a linear model of the states before anything
    is fine-tuned (Kumar et al. 2022, 2202.10054); None: probed where the mean speaks for a row."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The learning rate of a layer as a share of that of the layer above."""
    class_weights: Literal["none", "balanced"] = "none"
    """With balanced, a class weighs the inverse of its frequency."""
    frozen: bool = False
    """Whether only the heads are trained."""
    keep: Literal["last", "best"] = "last"
    """Which weights are kept: the last ones, or those that did best on dev."""
    patience: Annotated[int, Field(gt=0)] | None = None
    """Stops after this many evaluations that were no better, and keeps the best weights; None: never."""
    evaluate_every: Budget | None = Budget(1, "epochs")
    mixing: Mixing = Proportional()
    """How often each of several tasks comes."""
    virtual_sizes: dict[str, Annotated[int, Field(gt=0)]] = field(default_factory=dict)
    """Task -> the number of rows it counts as in the mix (T5, Section 3.7), if not how many it has."""
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Gradients with a larger norm are scaled down to it; None: never."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    """The seed of the first run."""
    num_seeds: Annotated[int, Field(gt=0)] = 1
    """How many runs, each with the next seed."""

    def __post_init__(self) -> None:
        if self.patience is not None and self.evaluate_every is None:
            raise UserError("patience counts evaluations, but evaluate_every is null; set it to 1epochs")
        if self.frozen and self.layer_decay != 1.0:
            raise UserError("layer_decay has no effect on a frozen backbone; leave one of them out")

    @property
    def seeds(self) -> range:
        """The seeds of all runs."""
        return range(self.seed, self.seed + self.num_seeds)

    @property
    def chooses(self) -> bool:
        """Whether the weights that did best on dev are taken."""
        return self.keep == "best" or self.patience is not None

    def with_learning_rate(self, learning_rate: float) -> FineTuning:
        """Gives these settings with another learning rate."""
        optimizer: Any = self.optimizer
        return replace(self, optimizer=replace(optimizer, learning_rate=learning_rate))

    def training(self, seed: int) -> Training:
        """Gives the trainer's settings for the run of one seed."""
        optimizer = self.optimizer
        if self.layer_decay != 1.0:
            optimizer = LayerDecay(inner=optimizer, decay=self.layer_decay)
        own = {one.name: getattr(self, one.name) for one in fields(Training) if hasattr(self, one.name)}
        return Training(**{**own, "optimizer": optimizer, "seed": seed, "keep_checkpoints": 1})
