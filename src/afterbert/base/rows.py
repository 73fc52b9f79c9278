"""A ragged batch of training rows: flat arrays and where each row starts. Every pretext task works on this.

Planes are the annotations that masking needs and that the ids have lost (`word_start`, `sentence_start`,
`document_start`, `special`, `segment`, ...): one value per piece, found once on raw text and carried beside the ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Returns the row starts, int64 [B+1], of ragged rows with these lengths [B].

    >>> starts_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    starts = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns the concatenation of arange(start, start + length), int64, without a Python loop.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    starts, lengths = np.asarray(starts, np.int64), np.asarray(lengths, np.int64)
    begins = starts_of(lengths)
    found = np.repeat(starts - begins[:-1], lengths)
    found += np.arange(begins[-1])
    return found


def flags_at(places: Any, size: int) -> np.ndarray:
    """Returns bool [size]: True at these places.

    >>> flags_at([0, 2], 4).tolist()
    [True, False, True, False]
    """
    found = np.zeros(size, dtype=bool)
    found[places] = True
    return found


def filled_up(rows: Sequence[Any], fill: int) -> np.ndarray:
    """Returns int64 [B, T] from rows of whole numbers of their own lengths, filled up on the right.

    >>> filled_up([[1, 2, 3], [4]], 0).tolist()
    [[1, 2, 3], [4, 0, 0]]
    """
    found = np.full((len(rows), max(map(len, rows))), fill, dtype=np.int64)
    for line, row in zip(found, rows):
        line[: len(row)] = row
    return found


class Planes(Mapping[str, np.ndarray]):
    """Planes by name. One given as a function is made when it is first looked at, so nobody pays for planes that no
    task of the batch reads.

    >>> planes = Planes({"ready": np.zeros(1), "later": lambda: np.ones(1)})
    >>> sorted(planes), planes["later"]
    (['later', 'ready'], array([1.]))
    """

    def __init__(self, made: Mapping[str, np.ndarray | Callable[[], np.ndarray]]):
        self._made = dict(made)

    def __getitem__(self, name: str) -> np.ndarray:
        found = self._made[name]
        if callable(found):
            found = self._made[name] = found()
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._made

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def __reduce__(self) -> tuple[type[Planes], tuple[dict[str, np.ndarray]]]:
        return Planes, (dict(self),)

    def replaced(self, planes: Mapping[str, np.ndarray | Callable[[], np.ndarray]]) -> Planes:
        """Returns planes with these added, or put in place of old ones."""
        return Planes({**self._made, **planes})

    def taken(self, index: np.ndarray) -> Planes:
        """Returns all planes at these flat positions."""
        return Planes({name: partial(self._at, name, index) for name in self._made})

    def _at(self, name: str, index: np.ndarray) -> np.ndarray:
        return self[name][index]


@dataclass(frozen=True)
class Rows:
    """B rows of T pieces in all.

    piece_ids: int32 [T]; row_starts: int64 [B+1]; keys: uint64 [B], stable names of the rows, which all
    noise hangs on; planes: name -> [T] (bool, or small integers). The plane `special` (bool) is always there.
    """

    piece_ids: np.ndarray
    row_starts: np.ndarray
    keys: np.ndarray
    planes: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        planes = self.planes if isinstance(self.planes, Planes) else Planes(self.planes)
        if "special" not in planes:
            planes = planes.replaced({"special": np.zeros(len(self.piece_ids), dtype=bool)})
        object.__setattr__(self, "planes", planes)

    def __len__(self) -> int:
        return len(self.row_starts) - 1

    @property
    def num_pieces(self) -> int:
        return len(self.piece_ids)

    @cached_property
    def lengths(self) -> np.ndarray:
        """int64 [B]."""
        return np.diff(self.row_starts)

    @cached_property
    def row_of(self) -> np.ndarray:
        """int64 [T]: the row each piece stands in."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def position_in_row(self) -> np.ndarray:
        """int64 [T], from 0 in each row."""
        return np.arange(self.num_pieces) - np.repeat(self.row_starts[:-1], self.lengths)

    @cached_property
    def keys_of(self) -> np.ndarray:
        """uint64 [T]: each piece's row key."""
        return np.repeat(self.keys, self.lengths)

    def rows_of(self, positions: np.ndarray) -> np.ndarray:
        """Returns the rows, int64 [N], of these flat positions [N], which must be sorted."""
        return np.repeat(np.arange(len(self)), np.diff(np.searchsorted(positions, self.row_starts)))

    def with_planes(self, **planes: np.ndarray | Callable[[], np.ndarray]) -> Rows:
        """Gives the same rows with these planes added or replaced."""
        return self.with_ids(self.piece_ids, **planes)

    def with_ids(self, piece_ids: np.ndarray, **planes: np.ndarray | Callable[[], np.ndarray]) -> Rows:
        """Returns rows with other pieces [T] in the same places, and these planes added or replaced."""
        assert isinstance(self.planes, Planes)
        return Rows(piece_ids, self.row_starts, self.keys, self.planes.replaced(planes))

    def take(self, index: np.ndarray, row_starts: np.ndarray) -> Rows:
        """Returns rows cut anew from the flat positions `index` [U] (planes follow), with new row starts and the same
        keys."""
        assert isinstance(self.planes, Planes)
        return Rows(self.piece_ids[index], row_starts, self.keys, self.planes.taken(index))

    def without_ends(self, counts: np.ndarray) -> Rows:
        """Returns the rows without their last `counts` [B] pieces that are not special, as far as they have so many.

        >>> Rows.of("[CLS] a b [SEP]").without_ends(np.array([1])).piece_ids.tolist()
        [2, 10, 3]
        """
        is_text = ~self.planes["special"]
        texts = starts_of(is_text)
        left = texts[self.row_starts[1:]] - counts
        index = np.flatnonzero(~is_text | (texts[1:] <= left[self.row_of]))
        return self.take(index, np.searchsorted(index, self.row_starts))

    def padded(self, values: np.ndarray, *, fill: float, length: int) -> np.ndarray:
        """Returns any flat array [T] as a matrix [B, length], filled up on the right. Longer rows are a bug."""
        assert self.lengths.max(initial=0) <= length
        out = np.full((len(self), length), fill, dtype=values.dtype)
        if self.lengths.min(initial=length) == length:
            out.ravel()[:] = values
        else:
            out[np.arange(length) < self.lengths[:, None]] = values
        return out

    def flat_to_padded(self, positions: np.ndarray, *, length: int) -> np.ndarray:
        """Returns flat positions [N] in these rows as flat positions in the padded matrix [B * length]."""
        is_sorted = bool((positions[1:] >= positions[:-1]).all())
        row = self.rows_of(positions) if is_sorted else np.searchsorted(self.row_starts, positions, "right") - 1
        return positions + (np.arange(len(self)) * length - self.row_starts[:-1])[row]

    @staticmethod
    def of(*texts: str, first_key: int = 0) -> Rows:
        """Returns rows for examples and tests, from pieces written out with spaces: `[...]` is special, `##` continues
        a word, a piece after `.` (or a special piece) starts a sentence. Ids: 0-9 are reserved for `TOY` specials;
        other pieces are numbered in order of first appearance from 10.

        >>> rows = Rows.of("[CLS] un ##believ ##able ! [SEP]")
        >>> rows.piece_ids.tolist(), rows.planes["word_start"].tolist()
        ([2, 10, 11, 12, 13, 3], [False, True, False, False, True, False])
        """
        named = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "<s1>": 9, "<s2>": 8, "<s3>": 7}
        ids, starts, special, words, sentences = [], [0], [], [], []
        for text in texts:
            begins = True
            for piece in text.split():
                ids.append(named.setdefault(piece, max(9, *named.values()) + 1))
                special.append(named[piece] < 10)
                words.append(not special[-1] and not piece.startswith("##"))
                sentences.append(begins and not special[-1])
                begins = special[-1] or piece == "."
            starts.append(len(ids))
        planes = {"special": special, "word_start": words, "sentence_start": sentences}
        return Rows(
            np.array(ids, np.int32),
            np.array(starts, np.int64),
            np.arange(first_key, first_key + len(texts), dtype=np.uint64),
            {name: np.array(plane, dtype=bool) for name, plane in planes.items()},
        )


def in_order(found: list[Rows], order: np.ndarray) -> Rows:
    """Joins batches of rows and takes the rows of all in the order `order` [B]; planes that some lack are left out."""
    if len(found) == 1:
        return found[0]
    lengths = np.concatenate([rows.lengths for rows in found])
    starts = starts_of(lengths)
    index = ranges(starts[:-1][order], lengths[order])
    names = set.intersection(*(set(rows.planes) for rows in found))
    planes: dict[str, np.ndarray | Callable[[], np.ndarray]] = {
        name: partial(_joined_plane, found, name, index) for name in names
    }
    ids = np.concatenate([rows.piece_ids for rows in found])[index]
    keys = np.concatenate([rows.keys for rows in found])[order]
    return Rows(ids, starts_of(lengths[order]), keys, Planes(planes))


def _joined_plane(found: list[Rows], name: str, index: np.ndarray) -> np.ndarray:
    return np.concatenate([rows.planes[name] for rows in found])[index]
