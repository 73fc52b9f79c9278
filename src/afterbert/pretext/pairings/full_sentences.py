"""Full sentences: rows of whole neighbouring sentences, on into the next document where one ends.

Source: RoBERTa (1907.11692) Section 4.2, FULL-SENTENCES, its final choice; one separator between documents.
"""

from dataclasses import dataclass

from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Plan
from afterbert.pretext.pairings._sentences import End, Ends, Framed, SentencePlan, end_id, room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class FullSentences(Framed):
    """`opens`, `closes`: the special pieces of every row; `between`: after each document that ends within it. A
    sentence longer than a row is cut. Raises UserError if the plan's length leaves no room for text."""

    opens: End = "cls"
    closes: End = "sep"
    between: End = "sep"

    @property
    def has_inner_specials(self) -> bool:
        return self.between != "none"

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        ends = Ends(*(end_id(end, vocabulary) for end in (self.opens, self.closes, self.between)))
        return SentencePlan(split, room_for(length, self.num_specials), ends, crosses=True, noise=noise)
