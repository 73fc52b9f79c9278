"""A text and its translation in one row, a mark around each; what is masked in one may be read off the other.

Source: XLM (1901.07291), Section 3.3, and its release (`concat_batches` with `reset_positions`): `</s> A </s> </s> B
</s>`, positions begin again with B, and each piece is told its language. Deviation: one pair a row, where the release
fills batches by pieces.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Pairing, Plan
from afterbert.pretext.pairings._parts import Parts, assemble, row_keys
from afterbert.pretext.pairings._sentences import End, end_id, room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class TranslationPair(Pairing):
    """Rows of the pairs of a store, in an order drawn for the view. Of a pair that is too long the longer side is cut
    at its end. restarts: positions begin again with the translation (plane `position`). Raises UserError if the length
    leaves no room for text."""

    opens: End = "cls"
    closes: End = "sep"
    restarts: bool = True

    @property
    def num_specials(self) -> int:
        return 2 * ((self.opens != "none") + (self.closes != "none"))

    def check_text(self, split: Split) -> None:
        if not len(split.pairs[1]):
            raise UserError("the texts hold no translations to train on; prepare them with some: --lang en+de=PAIRS")

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials)
        whole, firsts = split.pairs
        firsts = firsts[noise.of("documents").order(len(firsts))] if len(firsts) else firsts
        starts = whole.document_starts
        one, other = np.diff(starts)[firsts], np.diff(starts)[firsts + 1]
        one_kept = np.minimum(one, np.maximum(room // 2, room - other))
        sizes = np.stack((one_kept, np.minimum(other, room - one_kept)), axis=1)
        begins = np.stack((starts[firsts], starts[firsts + 1]), axis=1)
        return _Translated(whole, begins, sizes, end_id(self.opens, vocabulary), end_id(self.closes, vocabulary), self)


class _Translated(Plan):
    """begins, sizes: int64 [R, 2], where both sides begin in the split, and how many pieces of them are read."""

    def __init__(
        self, split: Split, begins: np.ndarray, sizes: np.ndarray, opens: int, closes: int, pairing: TranslationPair
    ):
        self.split, self.begins, self.sizes, self.pairing = split, begins, sizes, pairing
        self.opens, self.closes = opens, closes

    def __len__(self) -> int:
        return len(self.begins)

    def rows(self, numbers: np.ndarray) -> Rows:
        numbers = np.asarray(numbers, dtype=np.int64)
        row_of, second = divmod(np.arange(2 * len(numbers)), 2)
        begins, sizes = self.begins[numbers].ravel(), self.sizes[numbers].ravel()
        parts = Parts(row_of, begins, sizes, self.opens, self.closes, segment=second, document=second)
        rows = assemble(self.split, parts, row_keys(self.split, numbers))
        if not self.pairing.restarts:
            return rows
        first = np.repeat(self.sizes[numbers, 0] + self.pairing.num_specials // 2, rows.lengths)
        return rows.with_planes(position=lambda: rows.position_in_row - first * rows.planes["segment"])
