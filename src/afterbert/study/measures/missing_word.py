"""The closing figure that runs of all objectives share, see `probes.missing_word`."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class MissingWordScore(Measure):
    """Reads `shared` of evaluation.json, with its rows."""

    title = "frequent word named from its neighbours' frozen states"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = run.evaluation.get("shared")
        if found is None:
            return None
        rows = found.get("rows", ())
        return Measurement(
            found["value"], tuple(float(right) for right, _ in rows), tuple(float(asked) for _, asked in rows)
        )
