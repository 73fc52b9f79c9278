"""How many sentences find their translation, or their mirror image, at the layer where most do."""

from statistics import fmean

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class Retrieval(Measure):
    """Reads the figures of `--parallel`, and those of mirrored languages, from `without_training` of evaluation.json;
    several tables weigh alike."""

    title = "sentences that find their translation"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        figures = run.evaluation.get("without_training", ())
        found = [Measurement.of(one) for one in figures if "sentences found" in one["name"]]
        if len(found) < 2:
            return found[0] if found else None
        return Measurement(fmean(one.value for one in found), floor=fmean(one.floor or 0.0 for one in found))
