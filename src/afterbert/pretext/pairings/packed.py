"""Packed: the text as one long stream, cut every `length` pieces; nothing is padded and nothing is lost.

Source: RoBERTa (1907.11692) Section 4.2, FULL-SENTENCES, one extra separator between documents, but cut at pieces
rather than at sentences (`full_sentences` cuts as the paper does). GPT-2 and T5 cut their text the same way.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.pairings import Plan
from afterbert.pretext.pairings._parts import NONE, Parts, assemble, row_keys
from afterbert.pretext.pairings._sentences import End, Framed, end_id, room_for
from afterbert.text.token_store.store import Split


@dataclass(frozen=True)
class Packed(Framed):
    """`bounds`: rows cross the ends of documents, with `between` after each (`cross`), or keep them (`keep`: each
    document's last row is short), or cross them into documents of the same language only (`language`, XLM's streams).
    `opens`, `closes`: the special pieces of every row. Documents stand in an order drawn for the view.

    All rows but the last (`cross`; `language`: each language's last) have exactly the plan's length. Raises UserError
    if it leaves no room for text.
    """

    bounds: Literal["cross", "keep", "language"] = "cross"
    opens: End = "cls"
    closes: End = "sep"
    between: End = "sep"

    @property
    def has_inner_specials(self) -> bool:
        return self.bounds != "keep" and self.between != "none"

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        room = room_for(length, self.num_specials)
        opens, closes, between = (end_id(end, vocabulary) for end in (self.opens, self.closes, self.between))
        documents = noise.of("documents").order(split.num_documents)
        if self.bounds == "language":
            documents = documents[np.argsort(split.languages[documents], kind="stable")]
            streams = split.languages[documents]
        else:  # each document is a stream of its own, or all of them are one
            streams = np.arange(len(documents)) if self.bounds == "keep" else np.zeros(len(documents), dtype=np.uint8)
        return _Streams(split, documents, streams, room, opens, closes, between)


class _Streams(Plan):
    """Row r is the window [r * room, (r + 1) * room) of a stream of slots: every piece has one, and so has every
    separator. Behind the last document of each of the `streams` (one number a document, equal ones side by side) stands
    no separator, but as many empty slots as bring the next one to the beginning of a row."""

    def __init__(
        self, split: Split, documents: np.ndarray, streams: np.ndarray, room: int, opens: int, closes: int, between: int
    ):
        self.split, self.room, self.opens, self.closes, self.between = split, room, opens, closes, between
        self.text_starts = split.document_starts[:-1][documents]
        self.lengths = np.diff(split.document_starts)[documents]
        self.is_last = np.append(streams[1:] != streams[:-1], True)[: len(documents)]
        self.has_separator = ~self.is_last & (between != NONE)
        taken = self.lengths + self.has_separator
        ends = np.cumsum(taken)[self.is_last]  # of each stream, as if no slot were empty
        empty = -np.diff(ends, prepend=0) % room
        self.size = int(taken.sum() + empty[:-1].sum())
        taken[self.is_last] += empty
        self.slots = starts_of(taken)  # int64 [D+1]: where each document's slots begin

    def __len__(self) -> int:
        return -(-self.size // self.room)

    def goes_on(self, numbers: np.ndarray) -> np.ndarray:
        begins_stream = np.append(True, self.is_last[:-1])
        return ~np.isin(numbers * self.room, self.slots[:-1][begins_stream])

    def rows(self, numbers: np.ndarray) -> Rows:
        numbers = np.asarray(numbers, dtype=np.int64)
        low = numbers * self.room
        high = np.minimum(low + self.room, self.size)
        first = np.searchsorted(self.slots, low, side="right") - 1
        count = np.searchsorted(self.slots, high, side="left") - first
        row_of, document = np.repeat(np.arange(len(numbers)), count), ranges(first, count)
        skipped = np.maximum(low[row_of] - self.slots[document], 0)
        ends = np.minimum(high[row_of] - self.slots[document], self.lengths[document])
        is_separated = self.has_separator[document] & (high[row_of] >= self.slots[document + 1])
        in_row = document - first[row_of]
        parts = Parts(
            row_of,
            self.text_starts[document] + np.minimum(skipped, ends),
            np.maximum(ends - skipped, 0),
            before=np.where(in_row == 0, self.opens, NONE),
            after=np.where(is_separated, self.between, NONE),
            last=np.where(in_row == count[row_of] - 1, self.closes, NONE),
            document=in_row,
        )
        return assemble(self.split, parts, row_keys(self.split, numbers))
