"""How long an update of a recipe takes on this machine, measured in turns with others that it is compared with."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from afterbert.base.stages import widths
from afterbert.recipes.recipe import Resolved
from afterbert.text.token_store.store import Store
from afterbert.training.distribution.parallel import Single
from afterbert.training.precision import choose
from afterbert.training.step import Passes
from afterbert.training.stepper import Stepper
from afterbert.workflows.pretraining import feed_of

_STEPS, _WARM_STEPS = 3, 2


@dataclass(frozen=True)
class StepTime:
    """seconds: of an update, from batch to moved weights: the median of each stage of the run, weighted by its share;
    tokens: pieces that one reads in the mean."""

    seconds: float
    tokens: float


def step_times(
    arms: Mapping[str, Resolved], store: Store, *, device: torch.device, turns: int = 7
) -> dict[str, StepTime]:
    """Times a few updates of each arm, all arms in turn, so that whatever else the machine does falls on all alike.

    Batches are made within the time. Raises UserError if a single row does not fit into memory.
    """
    with torch.random.fork_rng(devices=[]):
        tried = {name: _Tried(resolved, store, device) for name, resolved in arms.items()}
        for one in tried.values():
            one.run(max(_WARM_STEPS, one.stages))
            one.forget()
        for _ in range(turns):
            for one in tried.values():
                one.run(max(_STEPS, one.stages))
    return {name: one.found() for name, one in tried.items()}


class _Tried:
    """A fresh module that makes updates; what it learns is thrown away."""

    def __init__(self, resolved: Resolved, store: Store, device: torch.device):
        recipe, store = resolved.recipe, store.telling(resolved.recipe.model.languages)
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        self._feed, self._device = feed_of(recipe, store, store.split("train")), device
        self._size = recipe.training.rows_at_once
        module = recipe.objective.build(recipe.model, store.vocabulary).to(device)
        self._optimizer = recipe.training.optimizer.build(module)
        passes = Passes(Single(module), choose(recipe.training.precision, device))
        self._stepper = Stepper(passes, self._optimizer, self._feed, recipe.training)

    @property
    def stages(self) -> int:
        """Through how many the steps go in turn."""
        return len(self._feed.moments)

    def forget(self) -> None:
        self.seconds.clear()
        self.tokens.clear()

    def found(self) -> StepTime:
        return StepTime(self._weighted(statistics.median, self.seconds), self._weighted(statistics.fmean, self.tokens))

    def _weighted(self, middle: Callable[[Sequence[float]], float], values: Sequence[float]) -> float:
        shares = widths(self._feed.moments)  # the steps have gone through the stages in turn
        stages = [values[number :: len(shares)] or values for number in range(len(shares))]
        return sum(share * middle(own) for share, own in zip(shares, stages))

    def run(self, steps: int) -> None:
        for number in range(len(self.seconds), len(self.seconds) + steps):
            begun = time.perf_counter()
            batches = self._feed.step(number, micro_batch_size=self._size)
            found = self._stepper.gradient(batches, data_step=number, micro_batch_size=self._size)
            self._stepper.update(found.gradient, 0.01)
            self._optimizer.zero_grad(set_to_none=True)
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            self.seconds.append(time.perf_counter() - begun)
            self.tokens.append(found.gradient.num_tokens)
