"""The batches of a run: which rows form step n, seen in which view, as a pure function of (recipe, seed, n).

Nothing here remembers where training stands, so a resumed run, another number of workers or of processes
gets the same batches. What is kept (plans, lengths of epochs) only saves time.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.stages import Stages, moments
from afterbert.objectives import Batch
from afterbert.pretext.pairings import Plan
from afterbert.training.config import Training

_PLANS_KEPT = (
    2  # a step sees at most the end of one view and the start of the next, unless the corpus is tiny
)


@dataclass(frozen=True)
class EpochPart:
    """Rows of one step that come from one epoch: their numbers in its plan [N], their places in the step
    [N]."""

    epoch: int
    numbers: np.ndarray
    slots: np.ndarray
    is_idle: bool = False
    """Whether they are read only because the other processes of the run wait for a pass: nothing is learned here."""


class Feed:
    """All steps of a run.

    plan: noise -> the rows of one view; called with the noise of that view. pose: (plan, numbers [B],
    noise) -> batch. Both pure. An epoch may end inside a batch: the batch goes on in the next epoch. A
    corpus smaller than a batch comes round several times in it. No micro-batch mixes two epochs, since
    these may be different views.

    order "shuffled": a new order of all rows each epoch. order "contiguous": row slot i of step n + 1
    continues slot i of step n within an epoch; each of the `batch_size` slots walks through its own stretch
    of the plan, the stretches begin at another place each epoch, and at most one row a slot is left out.
    The slots stand in the array `row_slots` int64 [B].

    A plan that forms its own batches (`Plan.batches`) is read a batch a step, in a new order of the batches each epoch.
    One that has fewer rows counts as a full one, so epochs end where steps do. Each process reads a share of its rows;
    where there are fewer rows than processes some read a row that counts nothing.

    course: what goes through stages in the run. Which one a step belongs to follows from the number of all steps, see
    `lasts`; before that is known the steps go through all stages in turn, so that each can be tried.
    """

    def __init__(
        self,
        *,
        plan: Callable[[Noise], Plan],
        pose: Callable[[Plan, np.ndarray, Noise], Batch],
        noise: Noise,
        batch_size: int,
        views: int | None = None,
        order: Literal["shuffled", "contiguous"] = "shuffled",
        course: Sequence[Stages] = (),
    ):
        self._plan, self._pose, self._noise = plan, pose, noise
        self.batch_size, self._views, self._order = batch_size, views, order
        self._course, self.moments = tuple(course), moments(course)
        self._total_steps: int | None = None
        self._plans: dict[int, Plan] = {}
        self._starts = [0]  # of epochs, in rows since the start of the run; as many as are known
        self._lock = threading.RLock()

    @classmethod
    def of(
        cls,
        training: Training,
        *,
        plan: Callable[[Noise], Plan],
        pose: Callable[[Plan, np.ndarray, Noise], Batch],
        course: Sequence[Stages] = (),
    ) -> Feed:
        """The feed that this training asks for."""
        return cls(
            plan=plan,
            pose=pose,
            noise=Noise(training.seed),
            batch_size=training.batch_size,
            views=training.views,
            order=training.order,
            course=course,
        )

    def lasts(self, total_steps: int) -> list[str]:
        """Says how many steps the run has; returns what is to be told of its stages. Raises UserError when one of them
        would have no step."""
        told = [stages.told(total_steps) for stages in self._course]
        self._total_steps = total_steps
        return told

    def progress_at(self, step: int) -> float:
        """The share of the run that lies behind when this update (0-based) is made."""
        if self._total_steps is None:
            return self.moments[step % len(self.moments)]
        return min(step / self._total_steps, 1.0)

    def step(
        self, number: int, *, micro_batch_size: int | None = None, rank: int = 0, world_size: int = 1
    ) -> list[Batch]:
        """The micro-batches of update `number` (0-based), each of at most `micro_batch_size` rows.

        With several processes each gets its share of the same rows. Raises UserError when the split has no
        rows.
        """
        size = micro_batch_size or self.batch_size
        progress = self.progress_at(number)
        return [
            self._batch(
                replace(
                    part,
                    numbers=part.numbers[start : start + size],
                    slots=part.slots[start : start + size],
                ),
                progress,
            )
            for part in self._shares(number, rank, world_size)
            for start in range(0, len(part.numbers), size)
        ]

    def slots(self, rank: int, world_size: int) -> range:
        """Tells which rows of every step a process reads; sizes differ by one where they do not divide evenly."""
        return range(self.batch_size * rank // world_size, self.batch_size * (rank + 1) // world_size)

    def parts(self, rows: range) -> Iterator[EpochPart]:
        """These rows, counted from the start of the run, by epoch; of plans that form their own batches, which must be
        asked for whole, by batch."""
        at = rows.start
        while at < rows.stop:
            epoch = self.epoch_of(at)
            start, end = self._start(epoch), self._start(epoch + 1)
            here = np.arange(at, min(end, rows.stop))
            batches = self.plan_of(epoch).batches()
            if batches is None:
                yield EpochPart(epoch, self._numbers(epoch, here - start), here % self.batch_size)
            else:
                turns = (here[:: self.batch_size] - start) // self.batch_size
                order = self._noise.of("order").seen_as(epoch).permutation(len(batches), turns)
                for batch in order.tolist():
                    yield EpochPart(epoch, batches[batch], np.arange(len(batches[batch])))
            at += len(here)

    def _shares(self, number: int, rank: int, world_size: int) -> Iterator[EpochPart]:
        """What one process reads of a step."""
        slots, first = self.slots(rank, world_size), number * self.batch_size
        if self.plan_of(self.epoch_of(first)).batches() is None:
            yield from self.parts(range(first + slots.start, first + slots.stop))
            return
        (whole,) = self.parts(range(first, first + self.batch_size))
        size = len(whole.numbers)
        mine = slice(size * rank // world_size, size * (rank + 1) // world_size)
        if mine.start == mine.stop:
            yield replace(whole, numbers=whole.numbers[:1], slots=whole.slots[:1], is_idle=True)
        else:
            yield replace(whole, numbers=whole.numbers[mine], slots=whole.slots[mine])

    def epoch_of(self, row: int) -> int:
        """The epoch in which this row, counted from the start of the run, is read."""
        while self._starts[-1] <= row:
            self._start(len(self._starts))
        return bisect_right(self._starts, row) - 1

    def rows_in_epoch(self, epoch: int) -> int:
        """How many rows an epoch has; it may differ from view to view."""
        return self._start(epoch + 1) - self._start(epoch)

    @property
    def known(self) -> list[int]:
        """The starts of the epochs known so far, for the checkpoint: `recall` saves planning all former
        views again."""
        return list(self._starts)

    def recall(self, known: Sequence[int]) -> None:
        """Takes over what another feed of the same recipe and data knew."""
        with self._lock:
            if len(known) > len(self._starts):
                self._starts = list(known)

    def steps(
        self,
        first: int,
        *,
        workers: int = 1,
        ahead: int = 2,
        micro_batch_size: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> Generator[list[Batch], None, None]:
        """The micro-batches of steps `first`, `first + 1`, ... without end, up to `ahead` steps prepared
        before they are asked for.

        An error while preparing comes out here, at its step. Close the iterator to end the threads.
        """

        def prepare(number: int) -> list[Batch]:
            try:
                return self.step(number, micro_batch_size=micro_batch_size, rank=rank, world_size=world_size)
            except Exception as error:
                error.add_note(f"while preparing the batch of step {number + 1}")
                raise

        if workers == 0:
            while True:
                yield prepare(first)
                first += 1
        with ThreadPoolExecutor(workers, thread_name_prefix="feed") as threads:
            waiting: deque[Future[list[Batch]]] = deque()
            try:
                while True:
                    while len(waiting) <= ahead:
                        waiting.append(threads.submit(prepare, first))
                        first += 1
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _view(self, epoch: int) -> int:
        return epoch if self._views is None else epoch % self._views

    def _start(self, epoch: int) -> int:
        with self._lock:
            while len(self._starts) <= epoch:
                plan = self.plan_of(len(self._starts) - 1)
                if len(plan) == 0:
                    raise UserError(
                        "the split has no rows to train on at this length; give it more text or shorter rows"
                    )
                self._starts.append(self._starts[-1] + self._rows_used(plan))
            return self._starts[epoch]

    def _rows_used(self, plan: Plan) -> int:
        batches = plan.batches()
        if batches is not None:
            assert self._order == "shuffled", "a plan that forms its own batches has no contiguous order"
            return len(batches) * self.batch_size
        if self._order == "shuffled":
            return len(plan)
        return max(1, len(plan) // self.batch_size) * self.batch_size

    def plan_of(self, epoch: int) -> Plan:
        """All rows of an epoch; of the last few the plan is kept."""
        view = self._view(epoch)
        with self._lock:  # also while planning, so that two workers never plan the same view
            if view not in self._plans:
                while len(self._plans) >= _PLANS_KEPT:
                    del self._plans[next(iter(self._plans))]
                self._plans[view] = self._plan(self._noise.of("plan").seen_as(view))
            return self._plans[view]

    def _numbers(self, epoch: int, places: np.ndarray) -> np.ndarray:
        """The rows [N] of the plan that stand at these places [N] of an epoch."""
        length = len(self.plan_of(epoch))
        order = self._noise.of("order").seen_as(epoch)
        if self._order == "shuffled":
            return order.permutation(length, places)
        turn, slot = places // self.batch_size, places % self.batch_size
        shift = order.integers(length, np.zeros(1, np.uint64))
        return (slot * length // self.batch_size + turn + shift) % length

    def _batch(self, part: EpochPart, progress: float) -> Batch:
        noise = self._noise.seen_as(self._view(part.epoch)).at(progress)
        batch = self._pose(self.plan_of(part.epoch), part.numbers, noise)
        if part.is_idle:
            return replace(
                batch, counts=dict.fromkeys(batch.counts, 0), num_tokens=0, row_keys=batch.row_keys[:0]
            )
        if self._order == "shuffled":
            return batch
        return replace(batch, arrays={**batch.arrays, "row_slots": part.slots})
