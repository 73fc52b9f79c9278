"""Rows made of whole sentences: as many as fit, one row after another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Pairing, Plan
from afterbert.pretext.pairings._parts import NONE, Parts, assemble, row_keys
from afterbert.text.token_store.store import Split

End = Literal["cls", "sep", "bos", "eos", "none"]

_SIDE_BY_SIDE = 512  # documents; below, a jump of Python for each row costs less than a call of numpy for all


def end_id(end: End, vocabulary: Vocabulary) -> int:
    """Returns the id of a special piece in a recipe; NONE for `none`. Raises UserError if the tokenizer lacks it."""
    return NONE if end == "none" else vocabulary.need(end)


def room_for(length: int, specials: int, least: int = 1) -> int:
    """Returns how many pieces of text fit into a row of `length` beside its special ones. Raises UserError when fewer
    than `least` fit."""
    if length - specials < least:
        raise UserError(f"rows of length {length} have no room for text beside {specials} special pieces; choose more")
    return length - specials


def document_sentences(split: Split) -> np.ndarray:
    """Returns each document's first sentence, int64 [D+1]."""
    return np.searchsorted(split.sentence_starts, split.document_starts)


def chain(following: np.ndarray) -> np.ndarray:
    """Returns 0, following[0], following[following[0]], ... as long as they are below len(following). It is sequential
    by definition.

    >>> chain(np.array([2, 9, 3, 4])).tolist()
    [0, 2, 3]
    """
    jumps, found = np.ascontiguousarray(following, dtype=np.int64).data, []
    now, end = 0, len(following)
    while now < end:
        found.append(now)
        now = jumps[now]
    return np.array(found, dtype=np.int64)


def walk(of_document: np.ndarray, following: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Returns the sentences at which rows begin, int64 [R], in order, when rows are cut one after the other out of each
    document.

    of_document: int64 [D+1], see `document_sentences`. following: sentences at which rows begin [N], and where their
    documents end [N] -> where the next rows begin [N], behind the first and never behind the second.

    All documents are walked side by side, a row of each at a time, and asked only where a row begins. The few that are
    much longer than the others are asked at every sentence they have left, and then followed.
    """
    is_begin = np.zeros(of_document[-1], dtype=bool)
    at, ends = of_document[:-1], of_document[1:]
    while (goes_on := at < ends).sum() >= _SIDE_BY_SIDE:
        at, ends = at[goes_on], ends[goes_on]
        is_begin[at] = True
        at = following(at, ends)
    left = ranges(at, ends - at)
    to_place = np.arange(len(left)) - left
    is_begin[left[chain(following(left, np.repeat(ends, ends - at)) + to_place)]] = True
    return np.flatnonzero(is_begin)


def ends_of(starts: np.ndarray, at: np.ndarray, pieces: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Returns for each text the sentence before which it ends, int64 [N]. The text begins with the sentence `at` [N]
    and takes whole sentences until it has `pieces` [N] of them, never beyond `last` [N]. starts: int64 [S+1], where
    sentences begin.

    A search near `at`: in all of a large store's sentences it would be most of what a plan costs.
    """
    low, goal = at + 1, starts[at] + pieces
    high = np.clip(at + pieces, low, last)
    for _ in range(int(np.max(high - low, initial=0)).bit_length()):
        middle = (low + high) >> 1
        is_short = (starts[middle] < goal) & (low < high)
        low, high = np.where(is_short, middle + 1, low), np.where(is_short, high, middle)
    return low


class Framed(Pairing):
    """Rows of running text between two special pieces that a recipe names."""

    opens: End
    closes: End
    goes_on = True

    @property
    def num_specials(self) -> int:
        return (self.opens != "none") + (self.closes != "none")


@dataclass(frozen=True)
class Ends:
    """Ids of the special pieces that open and close a row, and that stand between two documents (NONE: no piece)."""

    opens: int
    closes: int
    between: int


class SentencePlan(Plan):
    """Rows of whole sentences. Documents stand in an order drawn for the view; a sentence longer than a row is cut.

    crosses: rows run on into the next document, with the separator between.
    """

    def __init__(self, split: Split, room: int, ends: Ends, *, crosses: bool, noise: Noise):
        self.split, self.ends, self.crosses = split, ends, crosses
        documents = noise.of("documents").order(split.num_documents)
        of_document = document_sentences(split)
        counts = np.diff(of_document)[documents]
        sentences = ranges(of_document[:-1][documents], counts)
        begins, lengths = split.sentence_starts[:-1][sentences], np.diff(split.sentence_starts)[sentences]
        cuts = -(-lengths // room)
        nth = np.arange(cuts.sum()) - np.repeat(starts_of(cuts)[:-1], cuts)
        self.starts = np.repeat(begins, cuts) + nth * room
        self.lengths = np.minimum(np.repeat(lengths, cuts) - nth * room, room)
        self.is_first = np.zeros(len(self.starts), dtype=bool)  # of its document
        self.is_first[starts_of(cuts)[starts_of(counts)[:-1][counts > 0]]] = True
        self.row_starts = np.append(chain(self._following(room, crosses)), len(self.starts))

    def _following(self, room: int, crosses: bool) -> np.ndarray:
        """For a row that begins with each sentence: the first one that no longer fits."""
        cost = starts_of(self.lengths + self.is_first * (self.ends.between != NONE))
        own = cost[:-1] + self.is_first * (self.ends.between != NONE)  # no separator before a row's first sentence
        following = np.searchsorted(cost, own + room, side="right") - 1
        if crosses:
            return following
        firsts = np.append(np.flatnonzero(self.is_first), len(self.starts))
        return np.minimum(following, firsts[np.cumsum(self.is_first)])

    def __len__(self) -> int:
        return len(self.row_starts) - 1

    def goes_on(self, numbers: np.ndarray) -> np.ndarray:
        return (numbers > 0) & (self.crosses | ~self.is_first[self.row_starts[numbers]])

    def rows(self, numbers: np.ndarray) -> Rows:
        numbers = np.asarray(numbers, dtype=np.int64)
        low, count = self.row_starts[numbers], np.diff(self.row_starts)[numbers]
        row, sentence = np.repeat(np.arange(len(numbers)), count), ranges(low, count)
        opens_row = np.diff(row, prepend=-1) > 0
        begins = np.flatnonzero(opens_row | self.is_first[sentence])  # each run of one document's sentences is a part
        lengths = np.add.reduceat(self.lengths[sentence], begins) if len(begins) else begins
        part_row = row[begins]
        is_last = np.append(part_row[1:] != part_row[:-1], True)[: len(begins)]
        first = opens_row[begins]
        parts = Parts(
            part_row,
            self.starts[sentence[begins]],
            lengths,
            before=np.where(first, self.ends.opens, NONE),
            after=np.where(is_last, self.ends.closes, self.ends.between),
            document=np.arange(len(begins)) - np.searchsorted(part_row, part_row),
        )
        return assemble(self.split, parts, row_keys(self.split, numbers))
