"""Ragged rows: starts, ranges, cutting, padding."""

from __future__ import annotations

import numpy as np
import pytest

from afterbert.base.rows import Rows, ranges, starts_of

TEXTS = ("[CLS] a ##b c [SEP]", "", "[CLS] d [SEP]", "e")


def test_ranges_are_plain_ranges() -> None:
    random = np.random.default_rng(0)
    for size in (0, 1, 20):
        starts, lengths = random.integers(0, 50, size), random.integers(0, 6, size)
        expected = [i for start, length in zip(starts, lengths) for i in range(start, start + length)]
        assert ranges(starts, lengths).tolist() == expected
        assert starts_of(lengths).tolist() == [sum(lengths[:n]) for n in range(size + 1)]


def test_what_rows_know_of_themselves() -> None:
    rows = Rows.of(*TEXTS)
    assert len(rows) == 4 and rows.num_pieces == 9
    assert rows.lengths.tolist() == [5, 0, 3, 1]
    assert rows.row_of.tolist() == [0] * 5 + [2] * 3 + [3]
    assert rows.position_in_row.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 0]
    assert rows.keys_of.tolist() == rows.row_of.tolist()
    assert rows.planes["word_start"].tolist() == [False, True, False, True, False, False, True, False, True]


def test_rows_without_planes_have_no_special_piece() -> None:
    rows = Rows(np.array([5, 6], np.int32), np.array([0, 2]), np.array([0], np.uint64))
    assert rows.planes["special"].tolist() == [False, False]


def test_take_brings_the_planes_along() -> None:
    rows = Rows.of(*TEXTS)
    cut = rows.take(np.array([1, 2, 5]), np.array([0, 2, 2, 3, 3]))
    assert cut.piece_ids.tolist() == rows.piece_ids[[1, 2, 5]].tolist()
    assert cut.keys.tolist() == rows.keys.tolist()
    assert {name: plane.tolist() for name, plane in cut.planes.items()} == {
        name: plane[[1, 2, 5]].tolist() for name, plane in rows.planes.items()
    }


@pytest.mark.parametrize("texts", [TEXTS, ("a b", "c d"), ("a b",), ()])
def test_padding(texts: tuple[str, ...]) -> None:
    rows = Rows.of(*texts)
    for length in (5, 8) if texts == TEXTS else (2, 3):
        padded = rows.padded(rows.piece_ids, fill=-1, length=length)
        assert padded.shape == (len(texts), length) and padded.dtype == np.int32
        for row, line in enumerate(padded):
            pieces = rows.piece_ids[rows.row_starts[row] : rows.row_starts[row + 1]].tolist()
            assert line.tolist() == pieces + [-1] * (length - len(pieces))
        positions = np.arange(rows.num_pieces)
        flat = rows.flat_to_padded(positions, length=length)
        assert padded.ravel()[flat].tolist() == rows.piece_ids.tolist()
        padded[:] = 0
        assert not (rows.piece_ids == 0).any(), "a copy"


def test_rows_longer_than_the_padding_are_a_bug() -> None:
    with pytest.raises(AssertionError):
        Rows.of(*TEXTS).padded(np.arange(9), fill=0, length=4)
