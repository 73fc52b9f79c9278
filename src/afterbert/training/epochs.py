"""Which rows form each step of a run, epoch by epoch. Plans and lengths are kept only to save time."""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.pretext.pairings import Plan
from afterbert.training.config import Order

_PLANS_KEPT = 2  # a step sees at most the end of one view and the start of the next, unless the corpus is tiny


@dataclass(frozen=True)
class EpochPart:
    """Rows of one step that come from one epoch: their numbers in its plan [N], their places in the step [N]."""

    epoch: int
    numbers: np.ndarray
    slots: np.ndarray
    step: int = 0
    """The step that they belong to; with `begins`, the first of their epoch."""
    begins: bool = False
    is_idle: bool = False
    """Whether they are read only because the other processes of the run wait for a pass: nothing is learned here."""


class Epochs:
    """All rows of a run in the order in which they are read, counted from its start; for plan, views and order see
    `Feed`."""

    def __init__(
        self, plan: Callable[[Noise], Plan], noise: Noise, *, batch_size: int, views: int | None, order: Order
    ):
        self._plan, self._noise = plan, noise
        self._batch_size, self._views, self._order = batch_size, views, order
        self._plans: dict[int, Plan] = {}
        self._starts = [0]  # of epochs, in rows since the start of the run; as many as are known
        self._lock = threading.RLock()

    def of_row(self, row: int) -> int:
        """Tells the epoch in which this row, counted from the start of the run, is read."""
        while self._starts[-1] <= row:
            self._start(len(self._starts))
        return bisect_right(self._starts, row) - 1

    def num_rows(self, epoch: int) -> int:
        """Counts the rows of an epoch; it may differ from view to view."""
        return self._start(epoch + 1) - self._start(epoch)

    def noise(self, epoch: int) -> Noise:
        """Returns the noise of the view that an epoch sees."""
        return self._noise.seen_as(epoch if self._views is None else epoch % self._views)

    def plan(self, epoch: int) -> Plan:
        """Returns all rows of an epoch; the plans of the last few epochs are kept."""
        noise = self.noise(epoch)
        with self._lock:  # also while planning, so that two workers never plan the same view
            if noise.view not in self._plans:
                while len(self._plans) >= _PLANS_KEPT:
                    del self._plans[next(iter(self._plans))]
                self._plans[noise.view] = self._plan(noise.of("plan"))
            return self._plans[noise.view]

    def parts(self, rows: range) -> Iterator[EpochPart]:
        """Yields these rows, counted from the start of the run, by epoch; for plans that form their own batches, which
        must be asked for whole, by batch."""
        at = rows.start
        while at < rows.stop:
            epoch = self.of_row(at)
            start, end = self._start(epoch), self._start(epoch + 1)
            here = np.arange(at, min(end, rows.stop))
            batches = self.plan(epoch).batches()
            if batches is None:
                numbers, slots = self._numbers(epoch, here - start), here % self._batch_size
                yield EpochPart(epoch, numbers, slots, at // self._batch_size, at - start < self._batch_size)
            else:
                turns = (here[:: self._batch_size] - start) // self._batch_size
                order = self._noise.of("order").seen_as(epoch).permutation(len(batches), turns)
                for batch in order.tolist():
                    yield EpochPart(epoch, batches[batch], np.arange(len(batches[batch])))
            at += len(here)

    @property
    def known(self) -> list[int]:
        """The starts of the epochs known so far, for the checkpoint: `recall` saves planning all former views again."""
        return list(self._starts)

    def recall(self, known: Sequence[int]) -> None:
        """Takes over what other epochs of the same recipe and data knew."""
        with self._lock:
            if len(known) > len(self._starts):
                self._starts = list(known)

    def _start(self, epoch: int) -> int:
        with self._lock:
            while len(self._starts) <= epoch:
                plan = self.plan(len(self._starts) - 1)
                if len(plan) == 0:
                    raise UserError(
                        "the split has no rows to train on at this length; give it more text or shorter "
                        "rows; where translations are asked for, pairs (prepare --lang en+is=FILE)"
                    )
                self._starts.append(self._starts[-1] + self._rows_used(plan))
            return self._starts[epoch]

    def _rows_used(self, plan: Plan) -> int:
        batches = plan.batches()
        if batches is not None:
            assert self._order == "shuffled", "a plan that forms its own batches has no other order"
            return len(batches) * self._batch_size
        if self._order == "shuffled":
            return len(plan)
        return max(1, len(plan) // self._batch_size) * self._batch_size

    def _numbers(self, epoch: int, places: np.ndarray) -> np.ndarray:
        """The rows [N] of the plan that stand at these places [N] of an epoch."""
        length = len(self.plan(epoch))
        order = self._noise.of("order").seen_as(epoch)
        if self._order == "shuffled":
            return order.permutation(length, places)
        turn, slot = places // self._batch_size, places % self._batch_size
        shift = order.integers(length, np.zeros(1, np.uint64))
        if self._order == "neighbours":
            block = order.permutation(max(1, length // self._batch_size), turn)
            return (block * self._batch_size + slot + shift) % length
        return (slot * length // self._batch_size + turn + shift) % length
