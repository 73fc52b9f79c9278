"""A text to write as what a decoder reads, one piece behind, and where each piece is asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from afterbert.base.rows import Rows, ranges, starts_of
from afterbert.base.visibility import Visibility
from afterbert.pretext.posed import Posed, WrittenText


@dataclass(frozen=True)
class Written:
    """The question which piece is written at these places. positions: int64 [N], flat into the rows that are read while
    writing (after `padded`: into the padded batch); target_ids: int32 [N]."""

    positions: np.ndarray
    target_ids: np.ndarray

    def padded(self, rows: Rows, width: int) -> Written:
        """Gives the same with positions in the padded batch of these rows."""
        return replace(self, positions=rows.flat_to_padded(self.positions, length=width))


def cut_to(text: WrittenText, most: np.ndarray) -> WrittenText:
    """Returns the text with each row cut to `most` [B] pieces.

    >>> cut_to(WrittenText(Rows.of("a b c")), np.array([2])).target.piece_ids.tolist()
    [10, 11]
    """
    rows = text.target
    if (rows.lengths <= most).all():
        return text
    kept = rows.position_in_row < most[rows.row_of]
    lengths = np.minimum(rows.lengths, np.maximum(most, 0))
    target = Rows(rows.piece_ids[kept], starts_of(lengths), rows.keys, {n: p[kept] for n, p in rows.planes.items()})
    return WrittenText(target, None if text.places is None else text.places[kept])


def shifted(text: WrittenText, start: int) -> tuple[Rows, Written]:
    """Returns the target rows moved by one piece, beginning with `start`, and each target piece where it is asked.

    >>> rows, written = shifted(WrittenText(Rows.of("a b c")), start=6)
    >>> rows.piece_ids.tolist(), written.positions.tolist(), written.target_ids.tolist()
    ([6, 10, 11], [0, 1, 2], [10, 11, 12])
    """
    rows = text.target
    ids = np.roll(rows.piece_ids, 1)
    ids[rows.row_starts[:-1][rows.lengths > 0]] = start
    return Rows(ids, rows.row_starts, rows.keys), Written(np.arange(rows.num_pieces), rows.piece_ids)


def shifted_in_place(text: WrittenText, original: Rows, mask: int) -> tuple[Rows, Written]:
    """Returns rows of masks as long as the original ones (and a piece longer where the target ends after them). Each
    target piece is asked at its own place, and read one place later if another follows there.

    >>> text = WrittenText(Rows.of("b c"), places=np.array([1, 2]))
    >>> rows, written = shifted_in_place(text, Rows.of("a b c d"), mask=4)
    >>> rows.piece_ids.tolist(), written.positions.tolist()
    ([4, 4, 10, 4], [1, 2])
    """
    target = text.target
    places = target.position_in_row if text.places is None else text.places
    lengths = original.lengths.copy()
    np.maximum.at(lengths, target.row_of, places + 1)
    starts = starts_of(lengths)
    positions = starts[:-1][target.row_of] + places
    ids = np.full(starts[-1], mask, dtype=np.int32)
    follows = np.flatnonzero((np.diff(positions) == 1) & (np.diff(target.row_of) == 0)) + 1
    ids[positions[follows]] = target.piece_ids[follows - 1]
    return Rows(ids, starts, original.keys), Written(positions, target.piece_ids)


def behind(posed: Posed, text: WrittenText, start: int) -> tuple[Posed, Written]:
    """Returns one row of what is shown, `start`, and the target without its last piece. The shown part is seen from
    everywhere, the rest from left to right."""
    shown, target = posed.shown, text.target
    decoder, written = shifted(text, start)
    starts = starts_of(shown.lengths + decoder.lengths)
    reads = ranges(starts[:-1], shown.lengths)
    writes = ranges(starts[:-1] + shown.lengths, decoder.lengths)
    ids = np.empty(starts[-1], dtype=np.int32)
    ids[reads], ids[writes] = shown.piece_ids, decoder.piece_ids
    segment = np.ones(len(ids), dtype=np.uint8)
    segment[reads] = 0
    rows = Rows(ids, starts, shown.keys, {"segment": segment})
    sight = Visibility(kind="prefix", prefix_lengths=shown.lengths)
    assert len(target) == len(shown)
    return replace(posed, shown=rows, visibility=sight), replace(written, positions=writes[written.positions])
