"""How many pieces are named of words that are hidden whole."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class WhollyMaskedScore(Measure):
    """Reads `accuracy_wholly_masked_word` of evaluation.json: words of several pieces, all of them masked."""

    title = "pieces named of words that are hidden whole"
    favours = "objectives that hide whole words or spans, for that is what it asks"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = run.evaluation.get("measures", {}).get("accuracy_wholly_masked_word")
        return None if found is None else Measurement(found)
