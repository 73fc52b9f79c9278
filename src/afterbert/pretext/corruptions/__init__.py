"""What is shown in place of the chosen pieces?"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.selections import Chosen

Effect = Literal["content", "removal", "insertion", "order", "nothing"]


@dataclass(frozen=True)
class Shown:
    """rows: what the model reads (planes follow their pieces; the plane `hidden` marks what stands for chosen text);
    origin: int64 [U of rows], the flat position in the rows before that each piece stands for, or -1."""

    rows: Rows
    origin: np.ndarray


class Corruption(ABC):
    """An edit of the rows. Special pieces stay what and, relative to each other, where they are.

    `effect` says what happens to chosen pieces, and so which answers fit: `content` (the piece's place stays,
    other content may stand there), `removal` (the place vanishes), `insertion` (places are added), `order`
    (pieces move), `nothing`.
    """

    effect: ClassVar[Effect] = "content"
    shows_gaps: ClassVar[bool] = False

    @property
    def merges(self) -> bool:
        """Whether spans that touch are settled as one."""
        return False

    @property
    def hides(self) -> bool:
        """Whether the model cannot simply read every chosen piece where it stands."""
        return self.effect != "nothing"

    @property
    def keeps_places(self) -> bool:
        """Whether every piece stands where it stood, at the same length."""
        return self.effect in ("content", "nothing")

    def length_after(self, size: int, *, fewest: int, most: int, spans: int) -> int:
        """Returns the greatest length of a row of `size` ordinary pieces after from `fewest` to `most` of them are
        chosen, in at most `spans` spans, empty ones included."""
        return size

    def check(self, vocabulary: Vocabulary, spans: int) -> None:
        """Raises UserError if this tokenizer cannot show rows of so many spans."""

    def settled(self, rows: Rows, chosen: Chosen, vocabulary: Vocabulary) -> Chosen:
        """Returns the choice as this corruption carries it out, for example with neighbouring spans joined. The answers
        see this choice."""
        return chosen

    @abstractmethod
    def __call__(self, rows: Rows, chosen: Chosen, noise: Noise, vocabulary: Vocabulary) -> Shown:
        """The edited rows, for a settled choice. A pure function of its arguments."""
