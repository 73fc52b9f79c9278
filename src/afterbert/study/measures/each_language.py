"""Bits per byte of masked pieces, each language of the text weighing alike, however little of it there is."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class EachLanguage(Measure):
    """Reads `languages` of evaluation.json."""

    title = "bits per byte, mean of all languages"
    unit = "number"
    higher_is_better = False
    favours = "objectives that hide single pieces behind a mask at about 15%, for that is what it asks"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = [one["bits_per_byte"] for one in run.evaluation.get("languages", {}).values()]
        return Measurement(sum(found) / len(found)) if found else None
