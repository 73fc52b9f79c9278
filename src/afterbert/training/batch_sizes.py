"""How many rows the steps of a run read: as many throughout, or more in later stages.

Source: Smith et al. 2018 (1711.00489): larger batches later in a run do what a falling learning rate does, in fewer
steps.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.stages import Stages, widths


@dataclass(frozen=True)
class BatchSizes:
    """sizes: rows of a step in each stage. shares: of the run's steps, in any scale.

    >>> sizes = BatchSizes((16, 64), (3, 1))
    >>> [sizes.at(progress) for progress in (0.0, 0.7, 0.75)], sizes.mean(), sizes.mean(0.5, 1.0)
    ([16, 16, 64], 28.0, 40.0)
    >>> [sizes.before(step, 8) for step in (0, 6, 7, 8)]
    [0, 96, 160, 224]
    """

    sizes: tuple[int, ...]
    shares: tuple[float, ...] = (1.0,)

    @property
    def stages(self) -> Stages:
        """A run too short for all of them goes through some: nothing is asked otherwise."""
        return Stages("the batches", tuple(f"{size} rows" for size in self.sizes), self.shares, in_training=True)

    def at(self, progress: float) -> int:
        """Returns the rows of a step that is made when this share of the run is done."""
        return self.sizes[self.stages.at(progress)]

    def before(self, step: int, total_steps: int | None) -> int:
        """Returns how many rows the steps before this one (0-based) read. Where the run's length is not known yet, a
        step that is tried begins behind the largest batch of each before."""
        if total_steps is None:
            return step * max(self.sizes)
        begins = self.stages.first_steps(total_steps)
        ends = [*begins[1:], max(total_steps, step)]
        return sum(size * max(0, min(step, end) - begin) for size, begin, end in zip(self.sizes, begins, ends))

    def mean(self, begin: float = 0.0, end: float = 1.0) -> float:
        """Returns the mean rows of a step in this stretch of the run."""
        starts = np.array(self.stages.starts)
        reach = np.clip(starts + widths(starts.tolist()), begin, end) - np.clip(starts, begin, end)
        return float(reach @ np.array(self.sizes) / (end - begin)) if len(self.sizes) > 1 else float(self.sizes[0])
