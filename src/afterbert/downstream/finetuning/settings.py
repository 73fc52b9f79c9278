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
from afterbert.downstream.posing.backbone import Summary
from afterbert.training.config import Training
from afterbert.training.optimizers import Optimizer
from afterbert.training.optimizers.adamw import AdamW
from afterbert.training.schedules import Schedule
from afterbert.training.schedules.linear import Linear


@dataclass(frozen=True)
class FineTuning:
    """Defaults are BERT's (1810.04805, Appendix A.3), with one of its learning rates.

    - `length`: pieces a row at most. - `head`: None takes the one that fits the task. - `summary`: the piece
    that speaks for a row; None takes the one that has seen all of it. - `layer_decay`: learning rate of a
    layer by that of the layer above. - `class_weights`: "balanced" weighs a class by the inverse of its
    frequency. - `frozen`: the backbone learns nothing. - `keep`: "best" takes the weights that did best on
    dev instead of the last ones. - `patience`: stops after so many evaluations that were no better, and keeps
    the best. - `num_seeds`: runs, from `seed` on. - `mixing`: of several tasks. - `heads`: task, or kind of task,
    -> its head, before `head`. - `virtual_sizes`: task -> the number of rows it counts as in the mix (T5, Section
    3.7), where that is not how many it has.
    """

    budget: Budget = Budget(3, "epochs")
    batch_size: Annotated[int, Field(gt=0)] = 32
    """Rows an update is made from, all of one task."""
    micro_batch_size: Annotated[int, Field(gt=0)] | None = None
    """At most so many rows are in memory at once, with the same gradients; None: the whole batch."""
    length: Annotated[int, Field(ge=8)] = 128
    optimizer: Optimizer = field(default_factory=lambda: AdamW(learning_rate=5e-5))
    schedule: Schedule = field(default_factory=lambda: Linear(warmup=0.1))
    head: Head | None = None
    heads: dict[str, Head] = field(default_factory=dict)
    summary: Summary | None = None
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    class_weights: Literal["none", "balanced"] = "none"
    frozen: bool = False
    keep: Literal["last", "best"] = "last"
    patience: Annotated[int, Field(gt=0)] | None = None
    evaluate_every: Budget | None = Budget(1, "epochs")
    mixing: Mixing = Proportional()
    virtual_sizes: dict[str, Annotated[int, Field(gt=0)]] = field(default_factory=dict)
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    num_seeds: Annotated[int, Field(gt=0)] = 1

    def __post_init__(self) -> None:
        if self.patience is not None and self.evaluate_every is None:
            raise UserError("patience counts evaluations, but evaluate_every is null; set it to 1epochs")
        if self.frozen and self.layer_decay != 1.0:
            raise UserError("layer_decay has no effect on a frozen backbone; leave one of them out")

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
