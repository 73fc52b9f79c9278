"""Texts of a task as rows of pieces, framed by special pieces exactly as the model's own tokenizer frames them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.text.pieces.encoding import EncodedTexts, PieceEncoder
from afterbert.text.pieces.frame import Frame
from afterbert.text.pieces.tokenizer import Tokenizer

# Parts of a row, in order. `text` planes hold 1 in the first text, 2 in the second, 0 elsewhere.
_BEFORE, _FIRST, _BETWEEN, _SECOND, _BEHIND = range(5)


@dataclass(frozen=True)
class Stretches:
    """A stretch of pieces for each of R rows: from `starts` [R], `lengths` [R] long, in an `EncodedTexts`'s flat
    pieces."""

    starts: np.ndarray
    lengths: np.ndarray

    @staticmethod
    def whole(encoded: EncodedTexts) -> Stretches:
        """Returns each text from its first piece to its last."""
        return Stretches(encoded.piece_starts[:-1], np.diff(encoded.piece_starts))

    def take(self, index: np.ndarray) -> Stretches:
        """Takes the stretches of the rows `index`."""
        return Stretches(self.starts[index], self.lengths[index])


@dataclass(frozen=True)
class Formatter:
    """A tokenizer with the length of rows. length: pieces a row at most, specials included."""

    tokenizer: Tokenizer
    length: int

    @cached_property
    def one(self) -> Frame:
        """The frame of one text."""
        return Frame.of(self.tokenizer)

    @cached_property
    def two(self) -> Frame:
        """The frame of two texts."""
        return Frame.of(self.tokenizer, is_pair=True)

    @cached_property
    def encoder(self) -> PieceEncoder:
        """The tokenizer, with its memory of words."""
        return PieceEncoder(self.tokenizer)

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Returns the pieces of texts, without special pieces."""
        return self.encoder(texts)

    def room(self, frame: Frame) -> int:
        """Returns how many pieces of text fit into a row. Raises UserError if none do."""
        room = self.length - frame.num_specials
        if room < 2:
            raise UserError(f"length {self.length} leaves no room for text beside special pieces; raise --length")
        return room

    def fit(self, first: Stretches, second: Stretches | None = None) -> tuple[Stretches, Stretches | None]:
        """Returns the texts cut to the room of a row: the longer of two loses its end until both fit (BERT's
        `_truncate_seq_pair`)."""
        if second is None:
            room = self.room(self.one)
            return Stretches(first.starts, np.minimum(first.lengths, room)), None
        room = self.room(self.two)
        kept = np.minimum(first.lengths, np.maximum((room + 1) // 2, room - second.lengths))
        return Stretches(first.starts, kept), Stretches(second.starts, np.minimum(second.lengths, room - kept))

    def rows(self, encoded: EncodedTexts, first: Stretches, second: Stretches | None = None) -> Rows:
        """Returns framed rows of stretches of `encoded`, which must fit.

        Planes: `special`; `segment` uint8; `text` int8 (1 first text, 2 second, 0 special); `source` int64,
        the piece's place in `encoded`, -1 for specials.
        """
        frame = self.one if second is None else self.two
        specials = [*frame.before, *frame.between, *frame.behind]
        pool = np.concatenate((np.array(specials, dtype=np.int32), encoded.piece_ids))
        num_rows, offset = len(first.starts), len(specials)
        starts, lengths = np.zeros((2, num_rows, 5), dtype=np.int64)
        for part, (begin, size) in {
            _BEFORE: (0, len(frame.before)),
            _BETWEEN: (len(frame.before), len(frame.between)),
            _BEHIND: (len(frame.before) + len(frame.between), len(frame.behind)),
        }.items():
            starts[:, part], lengths[:, part] = begin, size
        for part, text in ((_FIRST, first), (_SECOND, second)):
            if text is not None:
                starts[:, part], lengths[:, part] = text.starts + offset, text.lengths
        index = ranges(starts.ravel(), lengths.ravel())
        part_of = np.repeat(np.tile(np.arange(5), num_rows), lengths.ravel())
        return Rows(
            pool[index],
            starts_of(lengths.sum(axis=1)),
            np.arange(num_rows, dtype=np.uint64),
            {
                "special": index < offset,
                "segment": np.array(frame.segments, dtype=np.uint8)[part_of],
                "text": np.array([0, 1, 0, 2, 0], dtype=np.int8)[part_of],
                "source": np.maximum(index - offset, -1),
            },
        )
