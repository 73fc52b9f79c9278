"""A text, questions and answers about it, and `A:` behind the last question: what follows is the answer.

Source: GPT-2 (Radford et al. 2019), Sections 3.5 (reading: the text and `A:`) and 3.8 (question answering: example
pairs first), greedy. Without the cue neither `Q:` nor `A:` stands there.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from afterbert.downstream.cues import Cue, CuedRows, sentences
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.question_answering import QuestionAnswering


@dataclass(frozen=True)
class Reading(Cue):
    """Asks a question about a context, after some pairs of question and answer."""

    tasks: ClassVar[tuple[type[Task], ...]] = (QuestionAnswering,)

    has_context: bool = True
    """False asks what the model knows by itself."""
    question: str = "Q:"
    answer: str = "A:"
    longest: Annotated[int, Field(gt=0)] = 20
    generation: Generation = Generation()
    num_shots: Annotated[int, Field(ge=0)] = 3
    """How many pairs of question and answer from other rows come first."""

    def answers(self, asked: CuedRows) -> list[Any]:
        answered = [shot for shot in asked.shots if shot.label]
        lead = "".join(f"{self.question} {s.texts[0]}\n{self.answer} {s.label[0].text}\n" for s in answered)
        prompts = []
        for row in asked.rows:
            context = f"{row.texts[1]}\n" if self.has_context else ""
            question = f"{lead}{self.question} {row.texts[0]}\n{self.answer}" if asked.cued else f"{row.texts[0]}\n"
            prompts.append(context + question)
        texts = asked.generator.write(prompts, self.generation, longest=self.longest, stop=("\n",), cuts_prompts=True)
        return [sentences(text, 1).rstrip(".") for text in texts]
