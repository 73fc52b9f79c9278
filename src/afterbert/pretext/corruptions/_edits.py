"""What corruptions share: random pieces, rows cut anew, spans replaced by marks."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows, flags_at
from afterbert.base.vocabulary import Vocabulary
from afterbert.pretext.corruptions import Corruption, Effect, Shown
from afterbert.pretext.selections import Chosen

_S32 = np.uint64(32)


def bits_at(rows: Rows, positions: np.ndarray, noise: Noise) -> np.ndarray:
    """Returns random bits, uint64 [N], for these sorted flat positions, each from its row's key and place."""
    row = rows.rows_of(positions)
    return noise.bits(rows.keys[row], positions - rows.row_starts[row])


def random_pieces(bits: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """Returns an ordinary piece, int32 [N], for the upper 32 of these random bits [N]."""
    ordinary = vocabulary.ordinary_ids
    if not len(ordinary):
        raise UserError("the vocabulary holds special pieces only, so none can be drawn at random; set random to 0")
    return ordinary[((bits >> _S32) * np.uint64(len(ordinary))) >> _S32]


def hidden_at(rows: Rows, positions: np.ndarray) -> np.ndarray:
    """Returns the plane `hidden`, bool [T], with these flat positions added."""
    before, added = rows.planes.get("hidden"), flags_at(positions, rows.num_pieces)
    return added if before is None else before | added


def with_ids(rows: Rows, piece_ids: np.ndarray, **planes: np.ndarray) -> Shown:
    """Returns rows with other pieces in the same places."""
    return Shown(rows.with_ids(piece_ids, **planes), np.arange(rows.num_pieces))


def cut_anew(rows: Rows, index: np.ndarray) -> Rows:
    """Returns rows made of the flat positions `index` [U]; what is before position row_starts[b] stays before row b."""
    return rows.take(index, np.searchsorted(index, rows.row_starts))


def with_new(rows: Rows, index: np.ndarray, is_new: np.ndarray) -> Rows:
    """Returns rows made of the flat positions `index` [U], in order. Where `is_new` [U], a new piece stands just before
    that place, in the same segment and document; it is no special piece and starts nothing."""
    cut = cut_anew(rows, index)
    of_piece = [name for name in rows.planes if name == "special" or name.endswith(("_start", "_inside"))]
    return cut.with_planes(**{name: partial(_without, cut, name, is_new) for name in of_piece})


def _without(rows: Rows, name: str, is_new: np.ndarray) -> np.ndarray:
    plane = rows.planes[name].copy()
    plane[is_new] = 0
    return plane


def merged(chosen: Chosen, rows: Rows) -> Chosen:
    """Returns the choice with neighbouring spans joined (those of two rows stay two); an empty span that touches
    another is dropped."""
    begins = chosen.begins
    first = chosen.positions[begins]
    touches = chosen.positions[begins[1:] - 1] + 1 == first[1:]
    if not len(chosen.gaps) and not touches.any():
        return chosen
    opens_row = flags_at(rows.row_starts, rows.num_pieces + 1)
    stays = np.ones(len(begins), dtype=bool)
    stays[1:] = ~touches | opens_row[first[1:]]
    is_chosen = flags_at(chosen.positions, rows.num_pieces + 1)
    gaps = chosen.gaps
    gaps = np.unique(gaps[~is_chosen[gaps] & ~(is_chosen[gaps - 1] & ~opens_row[gaps])])
    spans = np.cumsum(stays) - 1
    return replace(chosen, spans=spans[chosen.spans] if len(spans) else chosen.spans, gaps=gaps)


@dataclass(frozen=True)
class MarkedSpans(Corruption):
    """Each span, empty ones too, becomes one piece."""

    merges_neighbours: bool = False

    effect: ClassVar[Effect] = "removal"
    shows_gaps: ClassVar[bool] = True

    @property
    def merges(self) -> bool:
        return self.merges_neighbours

    def length_after(self, size: int, *, fewest: int, most: int, spans: int) -> int:
        return size - fewest + min(spans, fewest)

    def settled(self, rows: Rows, chosen: Chosen, vocabulary: Vocabulary) -> Chosen:
        return merged(chosen, rows) if self.merges_neighbours else chosen


def show_marks(rows: Rows, chosen: Chosen, mark_ids: np.ndarray | int) -> Shown:
    """Returns the rows with each span, empty ones included, replaced by one piece: these ids (one, or [M])."""
    marks = chosen.marks
    kept = ~flags_at(chosen.positions, rows.num_pieces)
    kept[chosen.positions[chosen.begins]] = True
    index = np.flatnonzero(kept)
    if not len(chosen.gaps):
        at = marks.positions - chosen.begins + np.arange(len(marks.positions))
        shown = cut_anew(rows, index)
    else:
        chosen_before = np.empty(len(marks.positions), dtype=np.int64)
        chosen_before[~marks.is_gap] = chosen.begins
        chosen_before[marks.is_gap] = np.searchsorted(chosen.positions, chosen.gaps)
        at = marks.positions - chosen_before + np.arange(len(marks.positions))
        is_new = flags_at(at[marks.is_gap], len(index) + len(chosen.gaps))
        with_gaps = np.empty(len(is_new), dtype=np.int64)
        with_gaps[is_new], with_gaps[~is_new] = chosen.gaps, index
        index = with_gaps
        shown = with_new(rows, index, is_new)
    shown.piece_ids[at] = mark_ids
    origin = index.copy()
    origin[at] = -1
    return Shown(shown.with_planes(hidden=partial(hidden_at, shown, at)), origin)
