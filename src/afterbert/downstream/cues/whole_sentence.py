"""Choices put into the text: the answer is the choice with which the whole is likeliest.

Sources: GPT-2 (Radford et al. 2019), Section 3.2 (Children's Book Test: the choice and the rest of the sentence) and
3.4 (Winograd schemas); full and partial scoring: Trinh and Le 2018 (1806.02847), Section 3. `full` takes the
likelihood of all of it, `partial` only of what follows the choice, so that frequent choices have no advantage. A
prompt without a gap gets the choice as its ending. Without the cue nothing but the choice is asked.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from afterbert.downstream.cues import Cue, CuedRows
from afterbert.downstream.tasks import Task
from afterbert.downstream.tasks.multiple_choice import MultipleChoice
from afterbert.downstream.zero_shot.likelihood import log_chances


@dataclass(frozen=True)
class WholeSentence(Cue):
    """num_shots has no effect here."""

    tasks: ClassVar[tuple[type[Task], ...]] = (MultipleChoice,)

    scoring: Literal["full", "partial"] = "full"
    gaps: tuple[str, ...] = ("XXXXX", "[MASK]", "___", "_")
    """How a gap in the prompt is written, the first that occurs counts: by the Children's Book Test, BERT, people, and
    WinoGrande."""
    num_shots: Annotated[int, Field(ge=0, le=0)] = 0

    def answers(self, asked: CuedRows) -> list[Any]:
        owners = [number for number, row in enumerate(asked.rows) for _ in row.texts[1:]]
        pairs = [self._pair(row.texts[0], choice, asked.cued) for row in asked.rows for choice in row.texts[1:]]
        scores, owner = log_chances(asked.generator, pairs), np.array(owners)
        return [int(np.argmax(scores[owner == number])) for number in range(len(asked.rows))]

    def _pair(self, prompt: str, choice: str, cued: bool) -> tuple[str, str]:
        """What is given, and what is asked."""
        choice = choice.strip()
        if not cued:
            return "", f" {choice}"
        gap = next((sign for sign in self.gaps if sign in prompt), None)
        if gap is None:
            return prompt.rstrip(), f" {choice}"
        before, behind = prompt.split(gap, 1)
        if self.scoring == "partial" and behind.strip():
            return before + choice, behind
        return "", before + choice + behind
