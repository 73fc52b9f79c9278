"""How many bits the masked pieces of held-out text cost the model, for each byte that they spell."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class BitsPerByteScore(Measure):
    """Reads `bits_per_byte` of evaluation.json."""

    title = "bits per byte of masked pieces"
    unit = "number"
    higher_is_better = False
    favours = "objectives that hide single pieces behind a mask at about 15%, for that is what it asks"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = run.evaluation.get("measures", {}).get("bits_per_byte")
        return None if found is None else Measurement(found)
