"""Rows of two texts: how BERT's release walks through the sentences of a document, and the rows that come of it.

Source: google-research/bert `create_pretraining_data.py`, `create_instances_from_document` and `truncate_seq_pair`. Its
loop depends on itself in one thing only: where the next chunk begins. So the plan of a view finds the beginnings, for
all documents side by side, and the rest of a chunk is drawn with the batch that wants it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Pairing, Plan
from afterbert.pretext.pairings._parts import NONE, Parts, assemble, row_keys
from afterbert.pretext.pairings._sentences import document_sentences, ends_of, walk
from afterbert.text.token_store.store import Split

_TRIES = 10  # draws of another document before the own one is put up with


class OfTwoTexts(Pairing):
    """Rows of two texts and three special pieces."""

    num_specials = 3


@dataclass(frozen=True)
class Pairs:
    """R pairs of texts, all int64 [R]: where each begins in the store and how long it is (0: there is none); whether
    the second comes from another document; labels: 0, 1, or -1 for a row that is not asked; None if the pairing asks no
    question."""

    a_start: np.ndarray
    a_length: np.ndarray
    b_start: np.ndarray
    b_length: np.ndarray
    is_foreign: np.ndarray
    labels: np.ndarray | None


class PairPlan(Plan):
    """[CLS] A [SEP] B [SEP], or [CLS] A [SEP] where there is no B. pairs: numbers [B] of rows -> their pairs; so what
    one row needs is drawn with its batch, and not for all rows of a large store before the first one."""

    def __init__(self, split: Split, size: int, pairs: Callable[[np.ndarray], Pairs], vocabulary: Vocabulary):
        self.split, self.size, self.pairs = split, size, pairs
        self.cls, self.sep = vocabulary.need("cls"), vocabulary.need("sep")

    def __len__(self) -> int:
        return self.size

    def labels(self, numbers: np.ndarray) -> np.ndarray | None:
        return self.pairs(numbers).labels

    def rows(self, numbers: np.ndarray) -> Rows:
        numbers = np.asarray(numbers, dtype=np.int64)
        pairs = self.pairs(numbers)
        starts = np.stack((pairs.a_start, pairs.b_start), axis=1).ravel()
        lengths = np.stack((pairs.a_length, pairs.b_length), axis=1).ravel()
        there = np.flatnonzero(lengths)
        row_of, second = divmod(there, 2)
        before, document = np.where(second == 0, self.cls, NONE), second * pairs.is_foreign[row_of]
        parts = Parts(row_of, starts[there], lengths[there], before, self.sep, segment=second, document=document)
        return assemble(self.split, parts, row_keys(self.split, numbers))


@dataclass(frozen=True)
class Chunks:
    """Runs of neighbouring sentences, each cut in two: int64 [C] sentence numbers; is_random bool [C]: B comes from
    elsewhere (and what was cut off begins the next chunk); document int64 [C]; target int64 [C], the pieces aimed at.
    """

    start: np.ndarray
    a_end: np.ndarray
    end: np.ndarray
    is_random: np.ndarray
    document: np.ndarray
    target: np.ndarray


class ChunkWalk:
    """The chunks of a split, by number. All that a chunk is follows from where it begins, so that alone is kept.

    target: sentences [C] -> pieces after which the chunks that begin there end (with a sentence), int64 [C]. A chunk of
    one sentence has a random B if `random_rate` is above 0, as in the release. most: sentences in a chunk.
    """

    def __init__(
        self,
        split: Split,
        target: Callable[[np.ndarray], np.ndarray],
        random_rate: float,
        noise: Noise,
        *,
        most: int | None = None,
    ):
        self.split, self.target, self.random_rate, self.noise, self.most = split, target, random_rate, noise, most
        self.of_document = document_sentences(split)
        self.starts = walk(self.of_document, self._following)

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, numbers: np.ndarray) -> Chunks:
        """Returns the chunks with these numbers [C]."""
        start = self.starts[numbers]
        document = np.searchsorted(self.of_document, start, side="right") - 1
        target = self.target(start)
        a_end, end, is_random = self._cut(start, self.of_document[document + 1], target)
        return Chunks(start, a_end, end, is_random, document, target)

    def _following(self, start: np.ndarray, of_documents_end: np.ndarray) -> np.ndarray:
        a_end, end, is_random = self._cut(start, of_documents_end, self.target(start))
        return np.where(is_random, a_end, end)

    def _cut(
        self, start: np.ndarray, last: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where A and the chunk end, and whether B is random. last: the end of each chunk's document."""
        if self.most is not None:
            last = np.minimum(last, start + self.most)
        end = ends_of(self.split.sentence_starts, start, target, last)
        count, keys = end - start, start.astype(np.uint64)
        a_end = start + 1 + self.noise.of("a_end").integers(np.maximum(count - 1, 1), keys)
        is_random = self.noise.of("is_random").uniform(keys) < self.random_rate
        return a_end, end, is_random | ((count == 1) & (self.random_rate > 0))


def short_targets(room: int, short_rate: float, noise: Noise) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from sentences [C] to the target length, int64 [C], of a chunk that begins there: `room`, or,
    with probability `short_rate`, uniform from 2 to `room`.

    Deviation: the release draws once a document. Where documents are as long as novels that makes a corpus of very
    short rows out of one document in ten, since these are the many; here `short_rate` is the share of the rows.
    """

    def target(start: np.ndarray) -> np.ndarray:
        keys = start.astype(np.uint64)
        short = 2 + noise.of("short_length").integers(room - 1, keys)
        return np.where(noise.of("is_short").uniform(keys) < short_rate, short, room)

    return target


def own_texts(split: Split, chunks: Chunks) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns start and length of A and of the rest of the chunk, each int64 [C]."""
    begins, middle, ends = (split.sentence_starts[at] for at in (chunks.start, chunks.a_end, chunks.end))
    return begins, middle - begins, middle, ends - middle


def foreign_texts(
    split: Split, chunks: Chunks, wanted: np.ndarray, of_document: np.ndarray, noise: Noise, *, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns start and length of a random B of at least `wanted` pieces (unless its document ends before) for every
    chunk. of_document: int64 [D+1], see `document_sentences`."""
    keys = chunks.start.astype(np.uint64)
    tries = noise.of("document").integers(split.num_documents, keys[:, None], np.arange(_TRIES)[None, :])
    is_other = tries != chunks.document[:, None]
    pick = np.where(is_other.any(axis=1), is_other.argmax(axis=1), _TRIES - 1)
    document = tries[np.arange(len(keys)), pick]
    low, high = of_document[document], of_document[document + 1]
    sentence = low + noise.of("start").integers(high - low, keys)
    begins = split.sentence_starts[sentence]
    ends = np.searchsorted(split.sentence_starts, begins + np.maximum(wanted, 1))
    ends = np.minimum(ends, high if most is None else np.minimum(high, sentence + most))
    return begins, split.sentence_starts[ends] - begins


def next_sentence_pairs(
    split: Split, chunks: Chunks, foreign: tuple[np.ndarray, np.ndarray], *, room: int, noise: Noise
) -> Pairs:
    """Returns A and the rest of its chunk or, where the chunk is random, a `foreign` text (starts, lengths). Labels: 0
    the continuation, 1 random, -1 where A stands alone."""
    a_start, a_length, *rest = own_texts(split, chunks)
    b_start, b_length = (np.where(chunks.is_random, f, own) for f, own in zip(foreign, rest))
    keys = chunks.start.astype(np.uint64)
    a, b = truncated((a_start, a_length), (b_start, b_length), room, keys, noise)
    labels = np.where(b[1] > 0, chunks.is_random, -1)
    return Pairs(*a, *b, chunks.is_random, labels)


def truncated(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], room: int, keys: np.ndarray, noise: Noise
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Returns both texts (starts, lengths) cut so that together they have at most `room` pieces: always from the longer
    one (B when equal), piece by piece from its front or its end by the throw of a coin."""
    shorter, is_over = np.minimum(a[1], b[1]), a[1] + b[1] > room
    is_evened = is_over & (2 * shorter > room)
    a_kept = np.where(is_evened, room - room // 2, np.where(is_over & (a[1] > b[1]), room - b[1], a[1]))
    b_kept = np.where(is_evened, room // 2, np.where(is_over & (a[1] <= b[1]), room - a[1], b[1]))
    first = (_heads(a[1] - a_kept, keys, noise.of("front_of_a")), _heads(b[1] - b_kept, keys, noise.of("front_of_b")))
    return (a[0] + first[0], a_kept), (b[0] + first[1], b_kept)


def _heads(throws: np.ndarray, keys: np.ndarray, noise: Noise) -> np.ndarray:
    """int64 [R]: heads among so many `throws` [R] of a coin."""
    number = np.arange(throws.sum()) - np.repeat(np.cumsum(throws) - throws, throws)
    heads = noise.bits(np.repeat(keys, throws), number) >> np.uint64(63) if len(number) else number
    return np.bincount(np.repeat(np.arange(len(throws)), throws), heads, minlength=len(throws)).astype(np.int64)
