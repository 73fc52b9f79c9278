"""Rows made of whole sentences: as many as fit, one row after another."""

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


def end_id(end: End, vocabulary: Vocabulary) -> int:
    """The id of a special piece named in a recipe, NONE for `none`. Raises UserError when the tokenizer has it not."""
    return NONE if end == "none" else vocabulary.need(end)


def room_for(length: int, specials: int, least: int = 1) -> int:
    """Pieces of text in a row of `length` beside its special ones. Raises UserError when fewer than `least` fit."""
    if length - specials < least:
        raise UserError(f"rows of length {length} have no room for text beside {specials} special pieces; choose more")
    return length - specials


def document_sentences(split: Split) -> np.ndarray:
    """int64 [D+1]: each document's first sentence."""
    return np.searchsorted(split.sentence_starts, split.document_starts)


def chain(following: np.ndarray) -> np.ndarray:
    """0, following[0], following[following[0]], ... as far as they are below len(following). Sequential by definition.

    >>> chain(np.array([2, 9, 3, 4])).tolist()
    [0, 2, 3]
    """
    jumps, found = np.ascontiguousarray(following, dtype=np.int64).data, []
    now, end = 0, len(following)
    while now < end:
        found.append(now)
        now = jumps[now]
    return np.array(found, dtype=np.int64)


class Framed(Pairing):
    """Rows of running text between two special pieces that a recipe names."""

    opens: End
    closes: End

    @property
    def num_specials(self) -> int:
        return (self.opens != "none") + (self.closes != "none")

    @property
    def goes_on(self) -> bool:
        return True


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
            last=np.full(len(begins), NONE),
            segment=np.zeros_like(begins),
            document=np.arange(len(begins)) - np.searchsorted(part_row, part_row),
        )
        return assemble(self.split, parts, row_keys(self.split, numbers))
