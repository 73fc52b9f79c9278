"""Recurrence in depth: each application of a layer is a step that knows its number, and a piece may stop early.

Sources: Universal Transformer (1807.03819), Section 2 and Appendix C; adaptive computation time: Graves (1603.08983),
Sections 2.1 and 3. With `sharing: all` this is the paper's model; without halting and signal it would be tied depth.
Constants: Graves has epsilon 0.01 and starts the halting bias at 1; the weight of the ponder cost is a matter of the
task there (1e-4 to 1e-1), 0.01 is tensor2tensor's. Deviation: the output is Graves' mean of states weighted by halting
probabilities; the paper's listing interpolates step by step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.numbers import InnerShare, NotNegative
from afterbert.nn.position_embeddings.sinusoid import sinusoids


@dataclass(frozen=True)
class Halting:
    """Each piece stops when its halting probabilities have added up to 1 - epsilon, or at the last layer."""

    epsilon: InnerShare = 0.01
    bias_start: float = 1.0
    """The bias at the start of the unit that decides."""
    ponder_weight: NotNegative = 0.01
    """The weight of the ponder cost in the loss."""


@dataclass(frozen=True)
class Recurrence:
    """Applies the layers again and again.

    >>> Recurrence(has_signal=False)
    Traceback (most recent call last):
    afterbert.base.errors.UserError: a recurrence without signal and halting is plain depth; leave it out
    """

    has_signal: bool = True
    """Whether the sinusoids of position and of step are added before every step."""
    halting: Halting | None = None
    """How pieces halt; None for a fixed number of steps, `num_hidden_layers`."""

    def __post_init__(self) -> None:
        if not self.has_signal and self.halting is None:
            raise UserError("a recurrence without signal and halting is plain depth; leave it out")

    def check(self, hidden_size: int) -> None:
        """Raises UserError for a width that has no sinusoids."""
        if self.has_signal and hidden_size % 2:
            raise UserError(f"a recurrence's signal needs an even hidden_size, found {hidden_size}")

    def build(self, hidden_size: int) -> RecurrenceModule:
        self.check(hidden_size)
        return RecurrenceModule(self, hidden_size)

    def flops_per_step(self, hidden_size: int) -> float:
        return 2.0 * hidden_size if self.halting else 0.0


class RecurrenceModule(nn.Module):
    """The part that a stack asks before and after each step. `halted`: the course of the last whole forward pass."""

    def __init__(self, config: Recurrence, hidden_size: int):
        super().__init__()
        self.config = config
        self.halted: Halted | None = None
        if config.halting is not None:
            self.unit = nn.Linear(hidden_size, 1, bias=False)
            # no bias of a linear layer, so that no initialization sets it to 0
            self.unit_bias = nn.Parameter(torch.tensor([config.halting.bias_start]))

    def __getstate__(self) -> dict[str, object]:
        """Copies begin without a course: its tensors hang on a graph, which cannot be copied."""
        return {**self.__dict__, "halted": None}

    def signalled(self, hidden: Tensor, position_ids: Tensor, step: int) -> Tensor:
        """Returns hidden states [B, T, D] with the sinusoids of positions [B or 1, T] and of the step added."""
        if not self.config.has_signal:
            return hidden
        width = hidden.shape[-1]
        steps = torch.full((1, 1), step, device=hidden.device)
        return hidden + (sinusoids(position_ids, width) + sinusoids(steps, width)).to(hidden.dtype)

    def begin(self, hidden: Tensor) -> HaltingProgress | None:
        """Returns the tally of one forward pass; None without halting."""
        return HaltingProgress(self, hidden) if self.config.halting is not None else None


class HaltingProgress:
    """The state of halting for each piece of hidden [B, T, D], step by step."""

    def __init__(self, module: RecurrenceModule, hidden: Tensor):
        assert module.config.halting is not None
        self.module, self.threshold = module, 1.0 - module.config.halting.epsilon
        self.spent = hidden.new_zeros(hidden.shape[:2], dtype=torch.float32)
        self.remainder, self.steps = torch.zeros_like(self.spent), torch.zeros_like(self.spent)
        self.mean = torch.zeros_like(hidden)
        self.is_running = torch.ones_like(self.spent, dtype=torch.bool)

    def step(self, before: Tensor, read: Tensor, after: Tensor, *, is_last: bool) -> Tensor:
        """Returns states [B, T, D] after a step: the new ones of pieces that were running, and those `before` it of the
        others. read: what the step began from, with its signal; it decides how likely a piece halts."""
        logits = self.module.unit(read).squeeze(-1) + self.module.unit_bias
        chance = torch.sigmoid(logits.float())
        halts = self.is_running & ((self.spent + chance > self.threshold) | is_last)
        left = 1.0 - self.spent
        weight = torch.where(halts, left, chance) * self.is_running
        self.steps = self.steps + self.is_running
        self.remainder = torch.where(halts, left, self.remainder)
        self.spent = self.spent + weight
        state = torch.where(self.is_running[..., None], after, before)
        self.mean = self.mean + weight[..., None].to(after.dtype) * state
        self.is_running = self.is_running & ~halts
        return state

    def end(self, is_piece: Tensor | None) -> Tensor:
        """Returns the weighted mean of states [B, T, D], and leaves the tally with the module. is_piece: bool [B, T];
        None if nothing is padding."""
        self.module.halted = Halted(self.steps, self.remainder, is_piece)
        return self.mean


@dataclass(frozen=True)
class Halted:
    """The record of how each piece [B, T] halted: how many steps it ran, the probability left for its last one, and
    whether it is a piece at all."""

    steps: Tensor
    remainder: Tensor
    is_piece: Tensor | None

    def ponder(self) -> Tensor:
        """Returns steps plus remainder, summed over pieces (Graves, equations 11 and 12). Only remainders have a
        gradient."""
        cost = self.steps + self.remainder
        return cost.sum() if self.is_piece is None else (cost * self.is_piece).sum()

    def statistics(self) -> dict[str, float]:
        """Returns mean_steps, most_steps and the mean remainder over the pieces."""
        is_piece = ... if self.is_piece is None else self.is_piece
        steps, left = self.steps[is_piece], self.remainder[is_piece]
        return {
            "mean_steps": float(steps.mean()),
            "most_steps": float(steps.max()),
            "mean_remainder": float(left.detach().mean()),
        }


def ponderings(backbone: nn.Module) -> list[RecurrenceModule]:
    """Returns the parts of a backbone in which pieces may stop early."""
    found = [part for part in backbone.modules() if isinstance(part, RecurrenceModule)]
    return [part for part in found if part.config.halting is not None]


def ponder_cost(backbone: nn.Module) -> Tensor | None:
    """Gives what the steps of the last forward pass cost, summed over the pieces read or written; None for a model in
    which none may stop early."""
    costs = [part.halted.ponder() for part in ponderings(backbone) if part.halted is not None]
    return torch.stack(costs).sum() if costs else None


def halting_statistics(backbone: nn.Module) -> dict[str, float]:
    """Returns the figures of the last forward pass, for measures and reports; a decoder's begin with `written_`."""
    found: dict[str, float] = {}
    for number, part in enumerate(ponderings(backbone)):
        if part.halted is not None:
            prefix = "" if number == 0 else "written_"
            found |= {prefix + name: value for name, value in part.halted.statistics().items()}
    return found
