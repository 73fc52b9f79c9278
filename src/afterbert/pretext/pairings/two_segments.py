"""Two segments, permutation style: A [SEP] B [SEP] [CLS], both from one place or from two, in rows of exactly `length`.

Source: XLNet (1906.08237) Section 2.5; zihangdai/xlnet `data_utils.py`: the text is one stream; A ends at a random
sentence of the window that a row fills; B is the rest of the window, or, for half of the rows, a text from a random
sentence on. No loss asks which. Segment numbers: 0, 1, and 2 for [CLS].

With a `reuse_share` a row begins with a reused part, text of segment 0 in front of A, and the next row begins where
that part ends (the release's `reuse_len`, 256 of 512): what a model remembers of the reused part is the text directly
before the next row, wherever B came from. Read from its end to its start, the text is cut anew from its end, as in the
release. Without it the stream goes on after the last text that is not from elsewhere.
"""

from bisect import bisect_left, bisect_right
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
    """A window without the start of a sentence is cut in the middle; the last row may be short. Raises UserError when
    the plan's length leaves no room for two pieces."""

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
        cut = _Cut(split, room - reuse, reuse, self.random_rate, noise)
        return _TwoSegmentPlan(cut, vocabulary)


@dataclass(frozen=True)
class _Cut:
    """How the stream is cut: `room` pieces for A and B behind `reuse` pieces."""

    split: Split
    room: int
    reuse: int
    random_rate: float
    noise: Noise

    def texts(self, sentence_starts: np.ndarray, noise: Noise) -> np.ndarray:
        """int64 [R, 4]: start and length of A, its reused part included, and of B. A walk: without a reused part it
        depends on the throw for a row where the next begins. sentence_starts: of the stream, its end included."""
        starts, size, room = np.ascontiguousarray(sentence_starts).data, self.split.num_pieces, self.room
        found: list[tuple[int, int, int, int]] = []
        begin, last = 0, len(starts) - 1
        draws = _Draws(noise)
        while begin < size:
            window = min(begin + self.reuse, size)
            end = min(window + room, size)
            low, high = bisect_right(starts, window), bisect_left(starts, end)
            coin, cut, place = draws(len(found))
            middle = starts[low + int(cut * (high - low))] if high > low else window + (end - window + 1) // 2
            b_length = window + room - middle
            is_random = coin < self.random_rate and size > room
            if is_random:
                sentence = bisect_right(starts, int(place * (size - b_length + 1)), 0, last) - 1
                found.append((begin, middle - begin, starts[sentence], b_length))
            else:
                found.append((begin, middle - begin, middle, end - middle))
            begin = begin + self.reuse if self.reuse else middle if is_random else end
        return np.array(found, dtype=np.int64).reshape(-1, 4)


class _Draws:
    """Three numbers in [0, 1) for each row, made in blocks: a call of numpy for each row would take most of the
    time."""

    def __init__(self, noise: Noise):
        self.noise, self.block, self.numbers = noise, -1, [[0.0, 0.0, 0.0]]

    def __call__(self, row: int) -> list[float]:
        block, within = divmod(row, 4096)
        if block != self.block:
            keys = np.arange(block * 4096, (block + 1) * 4096, dtype=np.uint64)
            self.block, self.numbers = (block, self.noise.uniform(keys[:, None], np.arange(3)[None, :]).tolist())
        return self.numbers[within]


class _TwoSegmentPlan(Plan):
    """A [SEP] B [SEP] [CLS]; to be read backwards, [CLS] [SEP] B [SEP] A, where the reused part ends A."""

    def __init__(self, cut: _Cut, vocabulary: Vocabulary, *, backward: bool = False):
        self.cut, self.vocabulary, self.backward = cut, vocabulary, backward
        starts, size, noise = cut.split.sentence_starts, cut.split.num_pieces, cut.noise
        if backward:
            self.texts = cut.texts((size - starts)[::-1], noise.of("backward"))
            self.texts[:, ::2] = size - self.texts[:, ::2] - self.texts[:, 1::2]
        else:
            self.texts = cut.texts(starts, noise)

    def __len__(self) -> int:
        return len(self.texts)

    def goes_on(self, numbers: np.ndarray) -> np.ndarray:
        return (numbers > 0) & (self.cut.reuse > 0)

    def mirrored(self) -> Plan:
        if not self.cut.reuse:
            return super().mirrored()
        return _TwoSegmentPlan(self.cut, self.vocabulary, backward=True)

    def rows(self, numbers: np.ndarray) -> Rows:
        numbers = np.asarray(numbers, dtype=np.int64)
        a_start, a_length, b_start, b_length = self.texts[numbers].T
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
