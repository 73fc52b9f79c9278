"""Two segments, permutation style: A [SEP] B [SEP] [CLS], both from one place or from two, in rows of exactly
`length`.

Source: XLNet (1906.08237) Section 2.5; zihangdai/xlnet `data_utils.py`: the text is one stream; A ends at a
random sentence of the window that a row fills; B is the rest of the window, or, for half of the rows, a text
from a random sentence on (then the stream goes on after A). No loss asks which. Segment numbers: 0, 1, and 2
for [CLS].
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Pairing, Plan
from afterbert.pretext.pairings._pairs import Probability
from afterbert.pretext.pairings._parts import NONE, Parts, assemble, row_keys
from afterbert.pretext.pairings._sentences import room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class TwoSegments(Pairing):
    """random_rate: of second segments from elsewhere. A window without the start of a sentence is cut in the
    middle; the last row may be short. Raises UserError when the plan's length leaves no room for two pieces.

    """

    random_rate: Probability = 0.5

    @property
    def num_specials(self) -> int:
        return 3

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials, least=2)
        return _TwoSegmentPlan(split, _texts(split, room, self.random_rate, noise), vocabulary)


def _texts(split: Split, room: int, random_rate: float, noise: Noise) -> np.ndarray:
    """int64 [R, 4]: start and length of A and B. A walk: where a row begins depends on the throw for the row
    before.
    """
    starts, size = np.ascontiguousarray(split.sentence_starts).data, split.num_pieces
    found: list[tuple[int, int, int, int]] = []
    begin, last = 0, len(starts) - 1
    draws = _Draws(noise)
    while begin < size:
        end = min(begin + room, size)
        low, high = bisect_right(starts, begin), bisect_left(starts, end)
        coin, cut, place = draws(len(found))
        middle = starts[low + int(cut * (high - low))] if high > low else begin + (end - begin + 1) // 2
        b_length = begin + room - middle
        if coin < random_rate and size > room:
            sentence = bisect_right(starts, int(place * (size - b_length + 1)), 0, last) - 1
            found.append((begin, middle - begin, starts[sentence], b_length))
            begin = middle
        else:
            found.append((begin, middle - begin, middle, end - middle))
            begin = end
    return np.array(found, dtype=np.int64).reshape(-1, 4)


class _Draws:
    """Three numbers in [0, 1) for each row, made in blocks: a call of numpy for each row would take most of
    the time.
    """

    def __init__(self, noise: Noise):
        self.noise, self.block, self.numbers = noise, -1, [[0.0, 0.0, 0.0]]

    def __call__(self, row: int) -> list[float]:
        block, within = divmod(row, 4096)
        if block != self.block:
            keys = np.arange(block * 4096, (block + 1) * 4096, dtype=np.uint64)
            self.block, self.numbers = (
                block,
                self.noise.uniform(keys[:, None], np.arange(3)[None, :]).tolist(),
            )
        return self.numbers[within]


class _TwoSegmentPlan(Plan):
    def __init__(self, split: Split, texts: np.ndarray, vocabulary: Vocabulary):
        self.split, self.texts = split, texts
        self.cls, self.sep = vocabulary.need("cls"), vocabulary.need("sep")

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, numbers: np.ndarray) -> Rows:
        numbers = np.asarray(numbers, dtype=np.int64)
        texts = self.texts[numbers].reshape(-1, 2)
        second = np.arange(len(texts)) % 2
        parts = Parts(
            row_of=np.arange(len(texts)) // 2,
            starts=texts[:, 0],
            lengths=texts[:, 1],
            before=np.full(len(texts), NONE),
            after=np.full(len(texts), self.sep),
            last=np.where(second == 1, self.cls, NONE),
            segment=second,
            document=second,
        )
        rows = assemble(self.split, parts, row_keys(self.split, numbers))
        rows.planes["segment"][rows.row_starts[1:] - 1] = 2
        return rows
