"""How often the good sentence of a labelled minimal pair is likelier, over all files of pairs that were asked."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class MinimalPairsScore(Measure):
    """Reads the figures of `--pairs` from `without_training` of evaluation.json, weighed by their pairs."""

    title = "minimal pairs right"
    asked_by = "--pairs PATH"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = [one for one in run.evaluation.get("without_training", ()) if one["name"].startswith("pairs of ")]
        asked = sum(one["count"] for one in found)
        if not asked:
            return None
        return Measurement(sum(one["value"] * one["count"] for one in found) / asked, floor=0.5)
