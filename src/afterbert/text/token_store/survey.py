"""The first pass over the texts: which documents there are, which of them are held out or seen twice, and a
sample to learn a tokenizer from.

Everything follows from the content of a document, never from its place or from the number of processes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import xxhash

from afterbert.base.noise import Noise
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.sources import SourcePart
from afterbert.text.token_store.workers import in_order

DROPPED, TRAIN, HELD_OUT = range(3)
DUPLICATE = "exact duplicate"

# Enough to measure any small model to three digits; more would only be lost for training.
_MOST_HELD_OUT_BYTES = 10_000_000
_SAMPLE_SEED = 1


@dataclass(frozen=True)
class PartSurvey:
    """A survey of one part. hashes: uint64 [D], of the contents; sizes: uint32 [D], bytes; languages: those
    named; sample: (key, text)."""

    hashes: np.ndarray
    sizes: np.ndarray
    languages: frozenset[str]
    tally: Tally
    sample: list[tuple[int, str]] = field(default_factory=list)


@dataclass
class Survey:
    """A survey of all parts, in their order. fates: uint8 [D], one of DROPPED, TRAIN, HELD_OUT; part_starts:
    int64 [parts + 1]; corpus_bytes: of the documents that are kept; sample: texts of the training split."""

    hashes: np.ndarray
    sizes: np.ndarray
    fates: np.ndarray
    part_starts: np.ndarray
    languages: list[str]
    tally: Tally
    sample: list[str] = field(default_factory=list)

    @property
    def corpus_bytes(self) -> int:
        return int(self.sizes[self.fates != DROPPED].sum())


def survey(
    parts: Sequence[SourcePart],
    policy: Policy,
    *,
    held_out: float,
    sample_bytes: int,
    processes: int,
    progress: Callable[[int], None],
) -> Survey:
    """Reads all parts once. Memory: some 30 bytes per document, and the sample. Raises UserError.

    held_out: the share of documents to hold out. progress: told the bytes of each part that was read.
    """
    sample = Sample(sample_bytes)
    tasks = ((part, sample.limit) for part in parts)
    found: list[PartSurvey] = []
    for part, one in zip(parts, in_order(SurveyPart(policy, sample_bytes), tasks, processes=processes)):
        for key, text in one.sample:
            sample.offer(key, text)
        one.sample.clear()
        found.append(one)
        progress(part.num_bytes)
    together = gathered(found, policy, held_out=held_out)
    kept_out = set(together.hashes[together.fates == HELD_OUT].tolist())
    together.sample += [text for text in sample.texts() if content_hash(text) not in kept_out]
    return together


def gathered(found: Sequence[PartSurvey], policy: Policy, *, held_out: float) -> Survey:
    """Joins the surveys of all parts, from what each of them holds; without a sample. Raises UserError."""
    tally = sum((one.tally for one in found), Tally())
    policy.check(tally)
    hashes = np.concatenate([one.hashes for one in found])
    sizes = np.concatenate([one.sizes for one in found])
    fates = fates_of(hashes, sizes, held_out=held_out)
    _count_duplicates(tally, int((fates == DROPPED).sum()))
    return Survey(
        hashes,
        sizes,
        fates,
        np.concatenate(([0], np.cumsum([len(one.hashes) for one in found]))),
        sorted({name for one in found for name in one.languages}),
        tally,
    )


@dataclass(frozen=True)
class SurveyPart:
    """Surveys one part; the task is the part and the highest sample key that can still be of use."""

    policy: Policy
    sample_bytes: int

    def __call__(self, task: tuple[SourcePart, int]) -> PartSurvey:
        part, limit = task
        tally, sample = Tally(), Sample(self.sample_bytes, limit)
        hashes, sizes, languages = [], [], set()
        for document in part.documents(self.policy, tally):
            raw = document.text.encode()
            hashes.append(xxhash.xxh3_64_intdigest(raw))
            sizes.append(len(raw))
            languages.add(document.language or "")
            sample.offer(xxhash.xxh3_64_intdigest(raw, _SAMPLE_SEED), document.text)
        return PartSurvey(
            np.array(hashes, dtype=np.uint64),
            np.array(sizes, dtype=np.uint32),
            frozenset(languages),
            tally,
            sample.pairs(),
        )


class Sample:
    """The different texts with the smallest keys, up to the one that fills `most_bytes`; so a sample of parts
    is the sample of the whole.

    >>> sample = Sample(most_bytes=3)
    >>> for key, text in [(7, "ef"), (1, "ab"), (9, "gh"), (5, "cd"), (5, "cd")]:
    ...     sample.offer(key, text)
    >>> sample.texts()
    ['ab', 'cd']
    """

    def __init__(self, most_bytes: int, limit: int = 1 << 64):
        self._most, self.limit = most_bytes, limit
        self._heap: list[tuple[int, int, str]] = []
        self._keys: set[int] = set()
        self._bytes = 0

    def offer(self, key: int, text: str) -> None:
        """Takes the text if it belongs to the sample, as far as is known."""
        if key >= self.limit or key in self._keys or self._most <= 0:
            return
        size = len(text.encode())
        heapq.heappush(self._heap, (-key, size, text))
        self._keys.add(key)
        self._bytes += size
        while self._bytes - self._heap[0][1] >= self._most:
            negative, size, _ = heapq.heappop(self._heap)
            self.limit = -negative
            self._keys.remove(self.limit)
            self._bytes -= size

    def pairs(self) -> list[tuple[int, str]]:
        """(key, text), by rising key."""
        return [(-key, text) for key, _, text in sorted(self._heap, reverse=True)]

    def texts(self) -> list[str]:
        """The texts, by rising key."""
        return [text for _, text in self.pairs()]


def fates_of(hashes: np.ndarray, sizes: np.ndarray, *, held_out: float) -> np.ndarray:
    """uint8 [D]: what becomes of documents with these content hashes [D] and sizes [D] in bytes.

    Of equal documents the first is kept. Held out are those whose own number, a function of the content, is
    below the share; at least one of two or more, and no more than 10 MB.

    >>> fates_of(np.array([5, 6, 5], dtype=np.uint64), np.array([9, 9, 9]), held_out=0.02).tolist()
    [2, 1, 0]
    """
    fates = np.full(len(hashes), DROPPED, dtype=np.uint8)
    kept = np.unique(hashes, return_index=True)[1]
    fates[kept] = TRAIN
    if held_out > 0 and len(kept) > 1:
        numbers = Noise(0, "held_out").uniform(hashes[kept])
        order = np.argsort(numbers, kind="stable")
        fits = np.cumsum(sizes[kept[order]], dtype=np.int64) <= _MOST_HELD_OUT_BYTES
        wanted = int((fits & (numbers[order] < held_out)).sum())
        fates[kept[order[: min(max(1, wanted), len(kept) - 1)]]] = HELD_OUT
    return fates


def content_hash(text: str) -> int:
    """64 bits that stand for a text."""
    return xxhash.xxh3_64_intdigest(text.encode())


def _count_duplicates(tally: Tally, count: int) -> None:
    if count:
        tally.dropped[DUPLICATE] = tally.dropped.get(DUPLICATE, 0) + count
        tally.kept -= count
