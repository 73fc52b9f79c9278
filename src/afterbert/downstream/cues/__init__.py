"""Cues: how a task is put to a language model that was never trained on it, as a text to go on with. One file each.

Source: GPT-2 (Radford et al. 2019), Section 3. Each can be asked without its cue, which is the control: what is right
then, the cue is not needed for.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sentencex

from afterbert.downstream.example import Example
from afterbert.downstream.tasks import Task
from afterbert.downstream.zero_shot.text_generation import TextGenerator


@dataclass(frozen=True)
class CuedRows:
    """The rows of a task that a cue asks, and rows with answers that may stand before them."""

    generator: TextGenerator
    task: Task
    rows: Sequence[Example]
    shots: Sequence[Example] = ()
    cued: bool = True
    """False for the control."""


class Cue(ABC):
    """A frozen config. tasks: the kinds it can pose. num_shots: rows with their answers that stand before the
    question."""

    tasks: ClassVar[tuple[type[Task], ...]]
    num_shots: int

    @abstractmethod
    def answers(self, asked: CuedRows) -> list[Any]:
        """Returns a prediction for each row, in terms of the task's labels."""


def sentences(text: str, count: int) -> str:
    """Returns the first sentences of a text, as sentencex finds them.

    >>> sentences(" One. Two! Three? Four.", 2), sentences("About 3.5 euros. No.", 1), sentences("नमस्ते। दुनिया।", 1)
    ('One. Two!', 'About 3.5 euros.', 'नमस्ते।')
    """
    found = [sentence for sentence in sentencex.segment("en", text) if sentence.strip()]
    return "".join(found[:count]).strip()
