"""How many masked pieces of held-out text the model's first guess names, see `probes.masked_prediction`."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class MaskedAccuracyScore(Measure):
    """Reads `masked_accuracy` of evaluation.json: single pieces masked at 15%, the same rows for all."""

    title = "masked pieces named"
    favours = "objectives that hide single pieces behind a mask at about 15%, for that is what it asks"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = run.evaluation.get("measures", {}).get("masked_accuracy")
        floor = run.evaluation.get("baselines", {}).get("most_frequent_piece")
        return None if found is None else Measurement(found, floor=floor)
