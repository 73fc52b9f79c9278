"""`TL;DR:` behind a text, and the first sentences of what follows.

Source: GPT-2 (Radford et al. 2019), Section 3.6: 100 pieces, drawn from the 2 likeliest, 3 sentences. Without the cue
nothing says that a summary is wanted.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from afterbert.downstream.cues import Cue, CuedRows, sentences
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.text_to_text import TextToText


@dataclass(frozen=True)
class Summary(Cue):
    """Asks for a summary of a text."""

    tasks: ClassVar[tuple[type[Task], ...]] = (TextToText,)

    cue: str = "\nTL;DR:"
    longest: Annotated[int, Field(gt=0)] = 100
    """How many pieces are written."""
    num_sentences: Annotated[int, Field(gt=0)] = 3
    """How many of the written sentences are kept."""
    generation: Generation = Generation("sample", top_k=2)
    num_shots: Annotated[int, Field(ge=0)] = 0

    def answers(self, asked: CuedRows) -> list[Any]:
        cue, shots = (self.cue, asked.shots) if asked.cued else ("", ())
        lead = "".join(f"{shot.texts[0]}{cue} {asked.task.target_text(shot.label)}\n\n" for shot in shots)
        prompts = [f"{lead}{row.texts[0]}{cue}" for row in asked.rows]
        texts = asked.generator.write(prompts, self.generation, longest=self.longest, cuts_prompts=True)
        return [sentences(text, self.num_sentences) for text in texts]
