"""Classes as words: the answer is the class whose word the model finds likeliest behind text and cue.

Sources: GPT-2 (Radford et al. 2019), Section 3, for tasks with a few possible answers; calibration (the likelihood of
the word behind the cue alone is taken off): Holtzman et al. 2021 (2104.08315), Section 4. Without the cue the words
follow the text directly.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from afterbert.base.errors import UserError
from afterbert.downstream.cues import Cue, CuedRows
from afterbert.downstream.example import Example
from afterbert.downstream.tasks import Task, labels_of
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.zero_shot.likelihood import log_chances


@dataclass(frozen=True)
class CandidatesCue(Cue):
    """Chooses the class whose word is likeliest after the text and the cue."""

    tasks: ClassVar[tuple[type[Task], ...]] = (SentenceClassification, PairClassification)

    cue: str = "\nThis is"
    """The words between text and answer."""
    words: tuple[str, ...] = ()
    """One word for each class, in the order of the labels; when left out, the labels."""
    calibrated: bool = True
    num_shots: Annotated[int, Field(ge=0)] = 0

    def answers(self, asked: CuedRows) -> list[Any]:
        labels = labels_of(asked.task)
        if self.words and len(self.words) != len(labels):
            shown = ", ".join(map(str, labels[:8]))
            raise UserError(
                f"--cue.words names {len(self.words)} words, but there are {len(labels)} classes; name one for each of "
                f"{shown}, in this order"
            )
        words = [f" {word}" for word in (self.words or [asked.task.target_text(label) for label in labels])]
        word_of = dict(zip(labels, words))
        cue = self.cue if asked.cued else ""
        shots = [shot for shot in asked.shots if asked.cued and shot.label in word_of]
        lead = "".join(f"{_text(shot)}{cue}{word_of[shot.label]}\n\n" for shot in shots)
        pairs = [(f"{lead}{_text(row)}{cue}", word) for row in asked.rows for word in words]
        scores = log_chances(asked.generator, pairs).reshape(len(asked.rows), len(words))
        if self.calibrated:
            scores = scores - log_chances(asked.generator, [(lead + cue, word) for word in words])
        return [labels[int(best)] for best in np.argmax(scores, axis=1)]


def _text(row: Example) -> str:
    return "\n".join(text.strip() for text in row.texts)
