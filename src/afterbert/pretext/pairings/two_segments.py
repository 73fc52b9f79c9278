"""Two segments, permutation style: A [SEP] B [SEP] [CLS], both from one place or from two, in rows of exactly `length`.

Source: XLNet (1906.08237) Section 2.5; zihangdai/xlnet `data_utils.py`: the text is one stream; A ends at a random
sentence of the window that a row fills; B is the rest of the window, or, for half of the rows, a text from a random
sentence on. No loss asks which. Segment numbers: 0, 1, and 2 for [CLS].

With a `reuse_share` a row begins with a reused part, text of segment 0 in front of A, and the next row begins where
that part ends (the release's `reuse_len`, 256 of 512): what a model remembers of the reused part is the text directly
before the next row, wherever B came from. Read from its end to its start, the text is cut anew from its end, as in the
release. Without it (the release knows no such rows) windows lie end to end, and what a B from elsewhere takes the place
of is not read in that view.
"""

from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.numbers import DropoutRate, Share
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Plan
from afterbert.pretext.pairings._pairs import OfTwoTexts
from afterbert.pretext.pairings._parts import NONE, Parts, assemble, row_keys
from afterbert.pretext.pairings._sentences import room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class TwoSegments(OfTwoTexts):
    """A window without the start of a sentence is cut in the middle; the last row may be short. Raises UserError if the
    plan's length leaves no room for two pieces."""

    random_rate: Share = 0.5
    """The share of second segments that come from elsewhere."""
    reuse_share: DropoutRate = 0.0
    """The share of a row that the next row does not repeat; the rest lies in both."""

    @property
    def goes_on(self) -> bool:
        return self.reuse_share > 0

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials, least=2)
        reuse = min(round(self.reuse_share * length), room - 2)
        return _TwoSegmentPlan(_Cut(split, room - reuse, reuse, self.random_rate), vocabulary, noise)


@dataclass(frozen=True)
class _Cut:
    """How the stream is cut: `room` pieces for A and B behind `reuse` pieces."""

    split: Split
    room: int
    reuse: int
    random_rate: float

    def __len__(self) -> int:
        return -(-self.split.num_pieces // (self.reuse or self.room))

    def texts(self, numbers: np.ndarray, starts: np.ndarray, noise: Noise) -> tuple[np.ndarray, ...]:
        """int64 [R] each: start and length of A, its reused part included, and of B. starts: where the sentences of the
        stream begin, its end included."""
        size = self.split.num_pieces
        begin = numbers * (self.reuse or self.room)
        window = np.minimum(begin + self.reuse, size)
        end = np.minimum(window + self.room, size)
        coin, cut, place = noise.uniform(numbers.astype(np.uint64)[:, None], np.arange(3)[None, :]).T
        low = np.searchsorted(starts, window, side="right")
        inside = np.searchsorted(starts, end) - low
        sentence = np.minimum(low + (cut * inside).astype(np.int64), len(starts) - 1)
        middle = np.where(inside > 0, starts[sentence], window + (end - window + 1) // 2)
        length = window + self.room - middle  # of a B from elsewhere; it fills the row even where the stream ends
        latest = (place * (size - length + 1)).astype(np.int64)
        elsewhere = np.minimum(np.searchsorted(starts, latest, side="right"), len(starts) - 1) - 1
        is_random = (coin < self.random_rate) & (size > self.room)
        b_start, b_end = np.where(is_random, (starts[elsewhere], starts[elsewhere] + length), (middle, end))
        return begin, middle - begin, b_start, b_end - b_start


class _TwoSegmentPlan(Plan):
    """A [SEP] B [SEP] [CLS]; to be read backwards, [CLS] [SEP] B [SEP] A, where the reused part ends A."""

    def __init__(self, cut: _Cut, vocabulary: Vocabulary, noise: Noise, *, backward: bool = False):
        self.cut, self.vocabulary, self.noise, self.backward = cut, vocabulary, noise, backward
        starts = cut.split.sentence_starts
        self.starts = np.ascontiguousarray((cut.split.num_pieces - starts)[::-1]) if backward else starts

    def __len__(self) -> int:
        return len(self.cut)

    def _texts(self, numbers: np.ndarray) -> tuple[np.ndarray, ...]:
        if not self.backward:
            return self.cut.texts(numbers, self.starts, self.noise)
        a_end, a_length, b_end, b_length = self.cut.texts(numbers, self.starts, self.noise.of("backward"))
        size = self.cut.split.num_pieces
        return size - a_end - a_length, a_length, size - b_end - b_length, b_length

    def goes_on(self, numbers: np.ndarray) -> np.ndarray:
        return (numbers > 0) & (self.cut.reuse > 0)

    def mirrored(self) -> Plan:
        if not self.cut.reuse:
            return super().mirrored()
        return _TwoSegmentPlan(self.cut, self.vocabulary, self.noise, backward=True)

    def rows(self, numbers: np.ndarray) -> Rows:
        numbers = np.asarray(numbers, dtype=np.int64)
        a_start, a_length, b_start, b_length = self._texts(numbers)
        cls, sep = self.vocabulary.need("cls"), self.vocabulary.need("sep")
        # each part: where its text lies, the special pieces around it, segment and document
        parts = [(a_start, a_length, NONE, sep, NONE, 0, 0), (b_start, b_length, NONE, sep, cls, 1, 1)]
        if self.backward:  # the special pieces that end a row are a part without text, where B ends when it is read
            ends = (b_start + b_length, 0 * b_length, cls, sep, NONE, 1, 0)
            parts = [ends, (b_start, b_length, NONE, NONE, NONE, 1, 0), (a_start, a_length, sep, NONE, NONE, 0, 1)]
        columns = [np.stack(np.broadcast_arrays(numbers, *column)[1:], axis=1).ravel() for column in zip(*parts)]
        row_of = np.repeat(np.arange(len(numbers)), len(parts))
        rows = assemble(self.cut.split, Parts(row_of, *columns), row_keys(self.cut.split, numbers))
        rows.planes["segment"][rows.row_starts[:-1] if self.backward else rows.row_starts[1:] - 1] = 2
        if not self.cut.reuse:
            return rows
        size = np.repeat(np.minimum(a_length, self.cut.reuse), rows.lengths)
        place = rows.position_in_row
        to_end = np.repeat(rows.lengths, rows.lengths) - place
        return rows.with_planes(reused=to_end <= size if self.backward else place < size)
