"""The micro-batches of one step after another, prepared ahead, whichever steps and sizes are asked for."""

from collections.abc import Generator

from afterbert.objectives import Batch
from afterbert.training.distribution.processes import Processes
from afterbert.training.feed import Feed


class Prefetch:
    """Prepares what this process reads of each step. Steps in order cost no waiting; another step, or another size, is
    begun anew. Close it to end the threads."""

    def __init__(self, feed: Feed, *, workers: int, processes: Processes):
        self._feed, self._workers, self._processes = feed, workers, processes
        self._prepared: Generator[list[Batch], None, None] | None = None
        self._following: tuple[int, int] | None = None

    def batches(self, step: int, micro_batch_size: int) -> list[Batch]:
        """Gives the micro-batches of update `step` (0-based). Raises UserError as `Feed.step` does."""
        if self._prepared is None or self._following != (step, micro_batch_size):
            self.close()
            self._prepared = self._feed.steps(
                step,
                workers=self._workers,
                micro_batch_size=micro_batch_size,
                rank=self._processes.rank,
                world_size=self._processes.size,
            )
        self._following = (step + 1, micro_batch_size)
        return next(self._prepared)

    def close(self) -> None:
        if self._prepared is not None:
            self._prepared.close()
            self._prepared = None
