"""Pairs `source = target`, then `source =`: what follows is the translation, up to its first sentence's end.

Source: GPT-2 (Radford et al. 2019), Section 3.7, greedy. Without the cue the source stands alone.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from afterbert.downstream.cues import Cue, CuedRows, sentences
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.text_to_text import TextToText


@dataclass(frozen=True)
class Translation(Cue):
    """Asks for a translation, after some translated pairs."""

    tasks: ClassVar[tuple[type[Task], ...]] = (TextToText,)

    between: str = " ="
    """The sign between source and target."""
    longest: Annotated[int, Field(gt=0)] = 60
    generation: Generation = Generation()
    num_shots: Annotated[int, Field(ge=0)] = 5

    def answers(self, asked: CuedRows) -> list[Any]:
        lead = "".join(f"{s.texts[0]}{self.between} {asked.task.target_text(s.label)}\n" for s in asked.shots)
        prompts = [f"{lead}{row.texts[0]}{self.between}" if asked.cued else row.texts[0] for row in asked.rows]
        stop = ("\n",) if asked.cued else ()
        texts = asked.generator.write(prompts, self.generation, longest=self.longest, stop=stop, cuts_prompts=True)
        return [sentences(text, 1) for text in texts]
