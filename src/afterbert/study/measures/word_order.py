"""How often a held-out sentence is likelier than itself with two words swapped, see `probes.broken_sentences`."""

from afterbert.study.made import FinishedRun, Measurement
from afterbert.study.measures import Measure


class WordOrderScore(Measure):
    """Reads the figure from `without_training` of evaluation.json."""

    title = "sentence likelier than with two words swapped"

    def __call__(self, run: FinishedRun) -> Measurement | None:
        found = run.figure("swap")
        return None if found is None else Measurement.of(found)
