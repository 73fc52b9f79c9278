"""How many sentences find their translation, or their mirror image, at the layer where most do."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class Retrieval(Measure):
    """Reads the figures of `--parallel`, and those of mirrored languages, from `without_training` of evaluation.json;
    several tables weigh alike."""

    title = "sentences that find their translation"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        figures = run.evaluation.get("without_training", ())
        found = [one for one in figures if "sentences found" in one["name"]]
        if not found:
            return None
        rows = found[0]["rows"] if len(found) == 1 else ()
        value = sum(one["value"] for one in found) / len(found)
        return Measurement(value, tuple(float(r) for r, _ in rows), tuple(float(n) for _, n in rows))
