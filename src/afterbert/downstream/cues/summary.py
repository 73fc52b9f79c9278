"""`TL;DR:` behind a text, and the first sentences of what follows.

Source: GPT-2 (Radford et al. 2019), Section 3.6: 100 pieces, drawn from the 2 likeliest, 3 sentences. Without the cue
nothing says that a summary is wanted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from afterbert.downstream.cues import Cue, sentences
from afterbert.downstream.example import Example
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.text_to_text import TextToText
from afterbert.downstream.zero_shot.text_generation import TextGenerator


@dataclass(frozen=True)
class Summary(Cue):
    """longest: pieces to write; num_sentences: kept of them."""

    tasks: ClassVar[tuple[type[Task], ...]] = (TextToText,)

    cue: str = "\nTL;DR:"
    longest: Annotated[int, Field(gt=0)] = 100
    num_sentences: Annotated[int, Field(gt=0)] = 3
    generation: Generation = Generation("sample", top_k=2)
    num_shots: Annotated[int, Field(ge=0)] = 0

    def answers(
        self, generator: TextGenerator, task: Task, rows: Sequence[Example], shots: Sequence[Example], *, cued: bool
    ) -> list[Any]:
        cue = self.cue if cued else ""
        lead = "".join(f"{shot.texts[0]}{cue} {task.target_text(shot.label)}\n\n" for shot in shots) if cued else ""
        prompts = [f"{lead}{row.texts[0]}{cue}" for row in rows]
        texts = generator.write(prompts, self.generation, longest=self.longest, cuts_prompts=True)
        return [sentences(text, self.num_sentences) for text in texts]
