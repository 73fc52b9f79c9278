"""What is asked?"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.edits import Edit, Extents
from afterbert.pretext.pairings import Pairing
from afterbert.pretext.posed import Asked, Posed
from afterbert.pretext.sight import Sight


class Terms(NamedTuple):
    """The task that a question is a part of: how rows are cut, what is done to them, who sees whom."""

    pairing: Pairing
    edits: tuple[Edit, ...]
    sight: Sight


class Answer(ABC):
    """A question about the original text, put to whoever reads the shown rows.

    cure: what helps where a text leaves it nothing to ask, or one answer only.
    """

    cure: ClassVar[str] = "take other texts, longer rows or another task"

    @abstractmethod
    def check(self, terms: Terms) -> None:
        """Raises UserError if these leave nothing to ask, or show what is asked."""

    def target_length(self, row_length: int, extents: Extents) -> int | None:
        """Returns the longest target text, in all but one row in a million, for rows of `row_length` pieces, special
        ones included, of which each edit chooses this much; None if nothing is written."""
        return None

    @abstractmethod
    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> Asked:
        """The question and its answer for one batch. A pure function of its arguments."""
