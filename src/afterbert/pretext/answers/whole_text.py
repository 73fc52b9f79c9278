"""Whole text: write the original row, all of it.

Source: BART (1910.13461) Section 2.2; T5's BERT-style, deshuffling and MASS-style arms (1910.10683 Section 3.3.1).
"""

from dataclasses import dataclass

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.answers import Answer, Terms
from afterbert.pretext.edits import Extents
from afterbert.pretext.posed import Posed, WrittenText


@dataclass(frozen=True)
class WholeText(Answer):
    """The target is the row with its special pieces, as the pairing made it."""

    def check(self, terms: Terms) -> None:
        if all(edit.corruption.effect == "nothing" for edit in terms.edits):
            raise UserError(
                "answer whole_text asks for a text that is shown as it is; add a corruption, or ask for next"
            )

    def target_length(self, row_length: int, extents: Extents) -> int:
        return row_length

    def __call__(self, posed: Posed, vocabulary: Vocabulary) -> WrittenText:
        return WrittenText(posed.original)
