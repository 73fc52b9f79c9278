"""What is asked?"""

from __future__ import annotations

from abc import ABC, abstractmethod

from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.edits import Edit
from afterbert.pretext.posed import Asked, Posed
from afterbert.pretext.sight import Sight


class Answer(ABC):
    """A question about the original text, put to whoever reads the shown rows."""

    @abstractmethod
    def check(self, edits: tuple[Edit, ...], sight: Sight) -> None:
        """Raises UserError when these edits leave nothing to ask, or show what is asked."""

    @abstractmethod
    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Asked:
        """The question and its answer for one batch. A pure function of its arguments."""
