"""How often a held-out sentence is likelier than itself with one word replaced, see `probes.broken_sentences`."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class WordFitScore(Measure):
    """Reads the figure from `without_training` of evaluation.json."""

    title = "sentence likelier than with one word replaced"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = run.figure("like frequency")
        return None if found is None else Measurement.of(found)
