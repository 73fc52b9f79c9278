"""The closing figure that runs of all objectives share, see `probes.missing_word`."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class MissingWordScore(Measure):
    """Reads `shared` of evaluation.json, with its rows."""

    title = "frequent word named from its neighbours' frozen states"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = run.evaluation.get("shared")
        return None if found is None else Measurement.of(found)
