"""The batches of a run: which rows form step n, seen in which view, as a pure function of (recipe, seed, n).

Nothing here remembers where training stands, so a resumed run, another number of workers or of processes
gets the same batches. What is kept (plans, lengths of epochs) only saves time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count
from statistics import harmonic_mean

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.stages import Stages, moments
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch, Objective
from afterbert.objectives.parts.blending import blended
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.store import Split
from afterbert.training.batch_sizes import BatchSizes
from afterbert.training.config import LongRows, Order, Training
from afterbert.training.distribution.processes import Processes
from afterbert.training.epochs import EpochPart, Epochs

_AHEAD = 2  # steps that are prepared before they are asked for


class Feed:
    """All steps of a run.

    plan: noise -> the rows of one view; called with the noise of that view. pose: (plan, numbers [B], noise) -> batch.
    Both pure. An epoch may end inside a batch: the batch goes on in the next epoch. A corpus smaller than a batch comes
    round several times in it. No micro-batch mixes two epochs, since these may be different views.

    order "shuffled": a new order of all rows each epoch. order "contiguous": row slot i of step n + 1 continues slot i
    of step n within an epoch; each of the `batch_size` slots walks through its own stretch of the plan, the stretches
    begin at another place each epoch, and at most one row a slot is left out. The slots stand in the array `row_slots`
    int64 [B]; `row_goes_on` bool [B] says which rows go on directly behind what their slot read in the step before, and
    which begin anew; `row_steps` int64 [B] which step this is. order "neighbours": the rows of a step follow each other
    in the plan; such blocks come in a new order each epoch and begin at another row; what fills no block is left out.

    A plan that forms its own batches (`Plan.batches`) is read a batch a step, in a new order of the batches each epoch.
    One that has fewer rows counts as a full one, so epochs end where steps do. Each process reads a share of its rows;
    where there are fewer rows than processes some read a row that counts nothing.

    course: what goes through stages in the run. Which one a step belongs to follows from the number of all steps, see
    `lasts`; before that is known the steps go through all stages in turn, so that each can be tried.

    batch_sizes: how many rows each step reads; more than one size with order "shuffled" alone.

    turn, then: a course of two stages; the steps of the second are those of another feed, from its first on.
    """

    def __init__(
        self,
        *,
        plan: Callable[[Noise], Plan],
        pose: Callable[[Plan, np.ndarray, Noise], Batch],
        noise: Noise,
        batch_sizes: BatchSizes,
        views: int | None = None,
        order: Order = "shuffled",
        course: Sequence[Stages] = (),
        turn: Stages | None = None,
        then: Feed | None = None,
    ):
        assert len(batch_sizes.sizes) == 1 or order == "shuffled", "the other orders count in batches of one size"
        self.epochs = Epochs(plan, noise, batch_size=batch_sizes.sizes[0], views=views, order=order)
        self.batch_sizes, self._pose, self._is_contiguous = batch_sizes, pose, order == "contiguous"
        self._turn, self._then = turn, then
        grows = [batch_sizes.stages] if len(batch_sizes.sizes) > 1 else []
        self._course = (*course, *grows, *([turn] if turn else []))
        self.moments = moments(self._course)
        self._total_steps: int | None = None

    @property
    def parts(self) -> tuple[tuple[float, float, Feed], ...]:
        """The feeds that follow one another, each with the shares of the run between which it is read."""
        if self._turn is None or self._then is None:
            return ((0.0, 1.0, self),)
        _, turn = self._turn.starts
        return ((0.0, turn, self), (turn, 1.0, self._then))

    @property
    def steps_per_epoch(self) -> float:
        """How many steps go once through the text, by the rows of the first epoch."""
        lengths = [feed.epochs.num_rows(0) / feed.batch_sizes.mean(begin, end) for begin, end, feed in self.parts]
        return harmonic_mean(lengths, weights=[end - begin for begin, end, _ in self.parts])

    def rows_before(self, step: int) -> int:
        """Counts the rows that the steps before this one (0-based) read."""
        return self.batch_sizes.before(step, self._total_steps)

    def epoch_at(self, step: int) -> int:
        """Tells the epoch that a step (0-based) begins in."""
        return self._epoch(step, self.rows_before(step))

    def epoch_after(self, step: int) -> int:
        """Tells the epoch that a step (0-based) ends in."""
        return self._epoch(step, self.rows_before(step + 1) - 1)

    def _epoch(self, step: int, row: int) -> int:
        feed, first = self._at(step)
        skipped = self.rows_before(first)
        before = self.epochs.of_row(skipped - 1) + 1 if first else 0
        return before + feed.epochs.of_row(row - skipped)

    def _at(self, step: int) -> tuple[Feed, int]:
        """The feed that a step of the run is read from, and the step of the run at which that one begins."""
        if self._turn is None or self._then is None or not self._turn.at(self.progress_at(step)):
            return self, 0
        return self._then, self._turn.first_steps(self._total_steps)[1] if self._total_steps else 0

    def lasts(self, total_steps: int) -> list[str]:
        """Says how many steps the run has; returns what is to be told of its stages. Raises UserError if one of them
        would have no step."""
        told = [stages.told(total_steps) for stages in self._course]
        self._total_steps = total_steps
        return told

    def progress_at(self, step: int) -> float:
        """Returns the share of the run that is done when this update (0-based) is made."""
        if self._total_steps is None:
            return self.moments[step % len(self.moments)]
        return min(step / self._total_steps, 1.0)

    def step(
        self, number: int, *, micro_batch_size: int | None = None, rank: int = 0, world_size: int = 1
    ) -> list[Batch]:
        """Returns the micro-batches of update `number` (0-based), each of at most `micro_batch_size` rows.

        With several processes each gets its share of the same rows. Raises UserError if the split has no rows.
        """
        size = micro_batch_size or max(self.batch_sizes.sizes)
        progress, (feed, first) = self.progress_at(number), self._at(number)
        begin, rows = self.rows_before(number) - self.rows_before(first), self.batch_sizes.at(progress)
        return [
            feed._batch(
                replace(part, numbers=part.numbers[start : start + size], slots=part.slots[start : start + size]),
                progress,
            )
            for part in feed._shares(range(begin, begin + rows), rank, world_size)
            for start in range(0, len(part.numbers), size)
        ]

    def slots(self, rank: int, world_size: int) -> range:
        """Tells which rows of every step a process reads, where all have one size."""
        (size,) = self.batch_sizes.sizes
        return _share(size, rank, world_size)

    def _shares(self, rows: range, rank: int, world_size: int) -> Iterator[EpochPart]:
        """What one process reads of a step, whose rows are counted from the first of this feed."""
        mine = _share(len(rows), rank, world_size)
        if self.epochs.plan(self.epochs.of_row(rows.start)).batches() is None:
            yield from self.epochs.parts(rows[mine.start : mine.stop])
            return
        if len(self.batch_sizes.sizes) > 1:
            raise UserError("these rows come in batches of their own, which do not grow; leave batch_growth out")
        (whole,) = self.epochs.parts(rows)
        mine = _share(len(whole.numbers), rank, world_size)
        if not mine:
            yield replace(whole, numbers=whole.numbers[:1], slots=whole.slots[:1], is_idle=True)
        else:
            own = slice(mine.start, mine.stop)
            yield replace(whole, numbers=whole.numbers[own], slots=whole.slots[own])

    def _batch(self, part: EpochPart, progress: float) -> Batch:
        noise = self.epochs.noise(part.epoch).at(progress)
        plan = self.epochs.plan(part.epoch)
        batch = self._pose(plan, part.numbers, noise)
        if part.is_idle:
            return replace(batch, counts=dict.fromkeys(batch.counts, 0), num_tokens=0, row_keys=batch.row_keys[:0])
        if not self._is_contiguous:
            return batch
        goes_on = plan.goes_on(part.numbers) & (not part.begins)
        steps = np.full(len(part.numbers), part.step)
        told = {"row_slots": part.slots, "row_steps": steps, "row_goes_on": goes_on}
        return replace(batch, arrays={**batch.arrays, **told})


def _share(size: int, rank: int, world_size: int) -> range:
    """Sizes differ by one where they do not divide evenly."""
    return range(size * rank // world_size, size * (rank + 1) // world_size)


class Prefetch:
    """Prepares what this process reads of each step, up to two steps before it is asked for. Steps in order cost no
    waiting; another step, or another size, is begun anew. An error while preparing comes out at its step. Close it to
    end the threads."""

    def __init__(self, feed: Feed, *, workers: int, processes: Processes):
        self._feed, self._workers, self._processes = feed, workers, processes
        self._prepared: Generator[list[Batch], None, None] | None = None
        self._following: tuple[int, int] | None = None

    def batches(self, step: int, micro_batch_size: int) -> list[Batch]:
        """Gives the micro-batches of update `step` (0-based). Raises UserError as `Feed.step` does."""
        if self._prepared is None or self._following != (step, micro_batch_size):
            self.close()
            self._prepared = self._steps(step, micro_batch_size)
        self._following = (step + 1, micro_batch_size)
        return next(self._prepared)

    def close(self) -> None:
        if self._prepared is not None:
            self._prepared.close()
            self._prepared = None

    def _steps(self, first: int, size: int) -> Generator[list[Batch], None, None]:
        """The micro-batches of steps `first`, `first + 1`, ... without end."""
        numbers, prepare = count(first), partial(self._prepare, size=size)
        if self._workers == 0:
            yield from map(prepare, numbers)
        with ThreadPoolExecutor(self._workers, thread_name_prefix="feed") as threads:
            waiting: deque[Future[list[Batch]]] = deque()
            try:
                while True:
                    while len(waiting) <= _AHEAD:
                        waiting.append(threads.submit(prepare, next(numbers)))
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _prepare(self, number: int, *, size: int) -> list[Batch]:
        rank, world_size = self._processes.rank, self._processes.size
        try:
            return self._feed.step(number, micro_batch_size=size, rank=rank, world_size=world_size)
        except Exception as error:
            error.add_note(f"while preparing the batch of step {number + 1}")
            raise


def feed_for(
    objective: Objective,
    split: Split,
    training: Training,
    *,
    vocabulary: Vocabulary,
    length: int,
    long_rows: LongRows | None = None,
) -> Feed:
    """Returns the batches of a run that trains this objective on a split, in rows of at most `length` pieces, towards
    the end in those of `long_rows`; for a split of several stores, mixed by their law."""
    is_counted = training.budget.unit == "epochs" and training.views is None
    turn = then = None
    if long_rows is not None:
        then = feed_for(objective, split, training, vocabulary=vocabulary, length=long_rows.length)
        names = (f"rows of {length} pieces", f"rows of {long_rows.length}")
        turn = Stages("the rows", names, (1 - long_rows.share, long_rows.share))

    def plan(noise: Noise) -> Plan:
        def of(part: Split) -> Plan:
            return objective.plan(part, length=length, vocabulary=vocabulary, noise=noise)

        return blended(split, of, view=noise.view, epochs=training.budget.amount if is_counted else None)

    def pose(rows: Plan, numbers: np.ndarray, noise: Noise) -> Batch:
        return objective.pose(rows, numbers, noise, vocabulary=vocabulary, length=length)

    return Feed(
        plan=plan,
        pose=pose,
        noise=Noise(training.seed),
        batch_sizes=training.batch_sizes,
        views=training.views,
        order=training.order,
        course=objective.course(),
        turn=turn,
        then=then,
    )
