"""Sections: what a side of the split is made of, so that a share of the text is held out even of one long document.

A document of up to 8 kB is one section. A longer one is cut into sections of at most 4 kB: at the last end of a
paragraph in the second half of that, else of a line, else of a sentence. Where it is cut, and which sections are held
out, follows from the text alone. Neighbouring sections of one document that go to the same side are one document of
the store; so no row that ends with a document holds text of both sides.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xxhash

from afterbert.base.noise import Noise
from afterbert.base.rows import flags_at, ranges, starts_of
from afterbert.text.files.documents import PAIR
from afterbert.text.files.policy import cut_point

DROPPED, TRAIN, HELD_OUT = range(3)
FATES = {"train": TRAIN, "held_out": HELD_OUT}

LONG_DOCUMENT_BYTES = 8_192
SECTION_BYTES = 4_096
# Enough to measure any small model to three digits; more would only be lost for training.
_MOST_HELD_OUT_BYTES = 10_000_000


def sections_of(raw: bytes) -> list[bytes]:
    """Cuts the UTF-8 bytes of a document into its sections, which put together are the document again. The white space
    at a cut begins the later one. The two sides of a pair are its sections.

    >>> text = b"One line.\\n\\n" + b"Another sentence. " * 600
    >>> [len(section) for section in sections_of(text)], b"".join(sections_of(text)) == text
    ([4078, 6733], True)
    """
    if PAIR.encode() in raw:
        return raw.split(PAIR.encode())
    found, begin = [], 0
    while len(raw) - begin > LONG_DOCUMENT_BYTES:
        end = begin + _section_length(raw[begin : begin + SECTION_BYTES + 8])
        found.append(raw[begin:end])
        begin = end
    return [*found, raw[begin:]]


def _section_length(raw: bytes) -> int:
    for end in (b"\n\n", b"\n"):
        if (at := raw.rfind(end, SECTION_BYTES // 2, SECTION_BYTES)) >= 0:
            break
    else:
        at = cut_point(raw, SECTION_BYTES)
    return len(raw[:at].rstrip()) or at


def hashes_by_section(sections: Sequence[bytes], *, is_pair: bool) -> list[int]:
    """Returns 64 bits for each section, which decide to which side it goes. Both sides of a pair have those of the
    first, so that all translations of a text, and the text itself, go to one side."""
    own = [content_hash(section) for section in sections]
    return own[:1] * 2 if is_pair else own


def content_hash(raw: bytes) -> int:
    """Returns 64 bits that stand for a text, given as UTF-8."""
    return xxhash.xxh3_64_intdigest(raw)


class Contents(NamedTuple):
    """The hashes and sizes of D documents with S sections in all. hashes: uint64 [D], of the documents; counts: int64
    [D], their sections; section_hashes: uint64 [S]; sizes: uint32 [S], bytes of the sections."""

    hashes: np.ndarray
    counts: np.ndarray
    section_hashes: np.ndarray
    sizes: np.ndarray

    @staticmethod
    def of(documents: Iterable[bytes]) -> Contents:
        """Reads the contents of documents, given as UTF-8, one by one."""
        hashes, counts, section_hashes, sizes = array("Q"), array("q"), array("Q"), array("I")
        for raw in documents:
            sections = sections_of(raw)
            own = hashes_by_section(sections, is_pair=PAIR.encode() in raw)
            hashes.append(own[0] if len(own) == 1 else content_hash(raw))
            counts.append(len(sections))
            section_hashes.extend(own)
            sizes.extend(map(len, sections))
        return Contents(*map(np.array, (hashes, counts, section_hashes, sizes)))

    @staticmethod
    def joined(some: Sequence[Contents]) -> Contents:
        """Puts the contents of several stretches of documents one behind the other."""
        return Contents(*map(np.concatenate, zip(*some)))

    def fates(self, *, held_out: float, is_near: np.ndarray | None = None) -> np.ndarray:
        """Returns the fate of each section, uint8 [S]: DROPPED, TRAIN or HELD_OUT.

        Of equal documents the first is kept. The different sections of what is kept are put in an order that follows
        from their contents; the first of them are held out, as many as come nearest to the share of all bytes: at
        least one of two, and no more than 10 MB. Equal sections are on one side. is_near: bool [D], documents that are
        dropped for being nearly another.

        >>> contents = Contents.of([b"one", b"another", b"one"])
        >>> contents.fates(held_out=0.02).tolist()
        [2, 1, 0]
        """
        fates = np.full(len(self.section_hashes), DROPPED, dtype=np.uint8)
        first = np.unique(self.hashes, return_index=True)[1]
        first = first if is_near is None else first[~is_near[first]]
        kept = ranges(starts_of(self.counts)[first], self.counts[first])
        fates[kept] = TRAIN
        different, which = np.unique(self.section_hashes[kept], return_inverse=True)
        if held_out > 0 and len(different) > 1:
            order = np.argsort(Noise(0, "held_out").uniform(different), kind="stable")
            sizes = np.bincount(which, self.sizes[kept])[order]
            ends = np.cumsum(sizes)
            target = min(held_out * ends[-1], _MOST_HELD_OUT_BYTES)
            wanted = int((ends - sizes / 2 <= target).sum())
            is_held_out = flags_at(order[: min(max(1, wanted), len(different) - 1)], len(different))
            fates[kept[is_held_out[which]]] = HELD_OUT
        return fates


@dataclass(frozen=True)
class SectionRuns:
    """The documents of the store that sections make: stretches of one document on one side. firsts: int64 [R], the
    first section of each; lengths: int64 [R], their pieces; fates: uint8 [R]; documents: int64 [R], which document
    each is of."""

    firsts: np.ndarray
    lengths: np.ndarray
    fates: np.ndarray
    documents: np.ndarray

    @staticmethod
    def of(
        counts: np.ndarray, lengths: np.ndarray, fates: np.ndarray, is_pair: np.ndarray | None = None
    ) -> SectionRuns:
        """Returns the runs of sections with one fate. counts: int64 [D], sections of each document; is_pair: bool [D],
        whether they are the sides of a pair, which stay apart; lengths, fates: [S], of the sections.

        >>> runs = SectionRuns.of(np.array([4, 1]), np.array([5, 6, 7, 8, 9]), np.array([1, 1, 2, 1, 1]))
        >>> runs.lengths.tolist(), runs.fates.tolist(), runs.documents.tolist()
        ([11, 7, 8, 9], [1, 2, 1, 1], [0, 0, 0, 1])
        """
        document = np.repeat(np.arange(len(counts)), counts)
        goes_on = (np.diff(document, prepend=-1) == 0) & (np.diff(fates.astype(int), prepend=-1) == 0)
        firsts = np.flatnonzero(~goes_on if is_pair is None else ~goes_on | is_pair[document])
        total = np.add.reduceat(lengths, firsts) if len(firsts) else lengths
        return SectionRuns(firsts, total, fates[firsts], document[firsts])

    def in_split(self, name: str) -> np.ndarray:
        """Returns the runs on this side that have pieces, bool [R]."""
        return (self.fates == FATES[name]) & (self.lengths > 0)

    def halves(self, is_pair: np.ndarray) -> np.ndarray:
        """Returns 1 and 2 for the sides of a pair that both have pieces, 0 for all else, uint8 [R]."""
        found = np.zeros(len(self.firsts), dtype=np.uint8)
        first = np.flatnonzero(is_pair[self.documents] & (np.diff(self.documents, prepend=-1) > 0))
        first = first[(self.lengths[first] > 0) & (self.lengths[first + 1] > 0)]
        found[first], found[first + 1] = 1, 2
        return found

    def begin_at(self, name: str) -> np.ndarray:
        """Returns the pieces on this side with which a document of the store begins, bool [T]."""
        starts = starts_of(self.lengths[self.in_split(name)])
        return flags_at(starts[:-1], starts[-1])

    def without_pieces(self) -> int:
        """Returns how many of the kept documents have no piece at all."""
        kept = self.fates != DROPPED
        pieces = np.bincount(self.documents[kept], self.lengths[kept])
        return int(((np.bincount(self.documents[kept]) > 0) & (pieces == 0)).sum())
