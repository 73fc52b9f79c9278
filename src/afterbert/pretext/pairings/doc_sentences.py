"""Document sentences: rows of whole neighbouring sentences of one document; the last of a document is short.

Source: RoBERTa (1907.11692) Section 4.2, DOC-SENTENCES, which raises the batch to make up for short rows (a
setting of the training loop here).
"""

from dataclasses import dataclass

from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Plan
from afterbert.pretext.pairings._parts import NONE
from afterbert.pretext.pairings._sentences import End, Ends, Framed, SentencePlan, end_id, room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class DocSentences(Framed):
    """`opens`, `closes`: the special pieces of every row. A sentence longer than a row is cut. Raises UserError if the
    plan's length leaves no room for text."""

    opens: End = "cls"
    closes: End = "sep"

    has_inner_specials = False

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        ends = Ends(end_id(self.opens, vocabulary), end_id(self.closes, vocabulary), NONE)
        return SentencePlan(split, room_for(length, self.num_specials), ends, crosses=False, noise=noise)
