"""Pairs `source = target`, then `source =`: what follows is the translation, up to its first sentence's end.

Source: GPT-2 (Radford et al. 2019), Section 3.7, greedy. Without the cue the source stands alone.
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
class Translation(Cue):
    """between: the sign between source and target."""

    tasks: ClassVar[tuple[type[Task], ...]] = (TextToText,)

    between: str = " ="
    longest: Annotated[int, Field(gt=0)] = 60
    generation: Generation = Generation()
    num_shots: Annotated[int, Field(ge=0)] = 5

    def answers(
        self, generator: TextGenerator, task: Task, rows: Sequence[Example], shots: Sequence[Example], *, cued: bool
    ) -> list[Any]:
        lead = "".join(f"{s.texts[0]}{self.between} {task.target_text(s.label)}\n" for s in shots)
        prompts = [f"{lead}{row.texts[0]}{self.between}" if cued else row.texts[0] for row in rows]
        stop = ("\n",) if cued else ()
        texts = generator.write(prompts, self.generation, longest=self.longest, stop=stop, cuts_prompts=True)
        return [sentences(text, 1) for text in texts]
