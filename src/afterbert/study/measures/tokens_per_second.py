"""How many pieces a second the training read, evaluations left out."""

import statistics

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class SpeedScore(Measure):
    """The median of what metrics.jsonl says; it depends on what else the machine did."""

    title = "tokens per second in training"
    unit = "number"
    is_cost = True

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = [one["tokens_per_second"] for one in run.steps if one.get("tokens_per_second")]
        return Measurement(statistics.median(found)) if found else None
