"""The last word of a passage (LAMBADA's question): source is the passage without it, target the word.

Source: GPT-2 (Radford et al. 2019), Section 3.3: words that cannot end a passage, stop words, are filtered out, since
models go on with them instead of ending. Deviation: the release's filter is not published; here the likeliest word
that is no stop word is taken among the greedy one and a few draws. Without the cue (the passage) only its last words
are shown.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from afterbert.downstream.cues import Cue, CuedRows
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.text_to_text import TextToText
from afterbert.downstream.zero_shot.likelihood import log_chances


@dataclass(frozen=True)
class LastWord(Cue):
    """Asks for the last word of a passage."""

    tasks: ClassVar[tuple[type[Task], ...]] = (TextToText,)

    num_draws: Annotated[int, Field(ge=0)] = 4
    """How many candidates are drawn besides the greedy word."""
    filters: bool = True
    """Whether (English) stop words may not be answers."""
    num_words: Annotated[int, Field(gt=0)] = 3
    """How many words of the passage the control shows."""
    num_shots: Annotated[int, Field(ge=0, le=0)] = 0

    def answers(self, asked: CuedRows) -> list[Any]:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # takes two seconds

        prompts = [row.texts[0].rstrip() for row in asked.rows]
        if not asked.cued:
            prompts = [" ".join(prompt.split()[-self.num_words :]) for prompt in prompts]
        ways = [Generation(), *(Generation("sample", top_k=20, seed=seed) for seed in range(self.num_draws))]
        written = [asked.generator.write(prompts, way, longest=6, cuts_prompts=True) for way in ways]
        found = []
        for prompt, texts in zip(prompts, zip(*written)):
            words = list(dict.fromkeys(word for text in texts if (word := _first_word(text))))
            kept = [word for word in words if not self.filters or word.lower() not in ENGLISH_STOP_WORDS] or words
            chances = log_chances(asked.generator, [(prompt, f" {word}") for word in kept]) if kept else np.zeros(1)
            found.append(kept[int(np.argmax(chances))] if kept else "")
        return found


def _first_word(text: str) -> str:
    """
    >>> _first_word(' "house," she')
    'house'
    """
    words = text.split()
    return words[0].strip(".,;:!?'()“”‘’" + '"') if words else ""
