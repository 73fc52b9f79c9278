"""Every corruption leaves special pieces alone, knows where each piece came from, and does not see the batch."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from afterbert.base import plugins
from afterbert.base.rows import Rows
from afterbert.pretext.corruptions import Corruption, Shown
from afterbert.pretext.selections import Chosen, Selection
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.geometric_spans import GeometricSpans
from afterbert.pretext.selections.poisson_spans import PoissonSpans
from invented_rows import VOCABULARY, by_row, noise, taken, text_rows

LENGTHS = [*range(6), 9, 30, 64]
LAWS: list[Selection] = [
    FixedCount(),
    FixedCount(rate=0.95),
    FixedCount("word", rate=0.5),
    GeometricSpans(rate=0.3),
    PoissonSpans(rate=0.5, mean=1.0),
    All(),
]


def variants() -> list[Corruption]:
    """Every corruption as it comes, and with each of its switches turned."""
    found: list[Corruption] = []
    for name in plugins.names(Corruption):
        cls = plugins.find(Corruption, name)
        found.append(cls())
        found += [cls(**{f.name: not f.default}) for f in fields(cls) if f.type == "bool"]
        found += [cls(per="span") for f in fields(cls) if f.name == "per"]
    return found


each_corruption = pytest.mark.parametrize("corruption", variants(), ids=str)
each_law = pytest.mark.parametrize("law", LAWS, ids=str)


def edited(corruption: Corruption, law: Selection, rows: Rows) -> tuple[Chosen, Shown]:
    chosen = corruption.settled(rows, law(rows, noise()), VOCABULARY)
    return chosen, corruption(rows, chosen, noise().of("corrupt"), VOCABULARY)


@each_corruption
@each_law
@pytest.mark.parametrize("ends", [True, False])
def test_form(corruption: Corruption, law: Selection, ends: bool) -> None:
    rows = text_rows(LENGTHS, ends=ends)
    _, shown = edited(corruption, law, rows)
    after, origin = shown.rows, shown.origin
    assert after.keys.tolist() == rows.keys.tolist() and after.row_starts[-1] == after.num_pieces == len(origin)
    assert set(rows.planes) <= set(after.planes)
    assert all(len(plane) == after.num_pieces for plane in after.planes.values())
    assert (np.diff(after.row_starts) >= 0).all()
    stands = origin >= 0
    assert (after.row_of[stands] == rows.row_of[origin[stands]]).all(), "no piece leaves its row"
    assert len(set(origin[stands].tolist())) == stands.sum(), "no piece stands twice"
    special = after.planes["special"]
    kept = [(row, place) for row, place in zip(after.row_of[special], after.piece_ids[special])]
    assert kept == list(zip(rows.row_of[rows.planes["special"]], rows.piece_ids[rows.planes["special"]]))
    assert (np.diff(origin[special]) > 0).all() and stands[special].all()
    for name in ("word_start", "sentence_start", "segment", "document"):
        assert after.planes[name].dtype == rows.planes[name].dtype
    is_new = after.piece_ids != rows.piece_ids[np.maximum(origin, 0)]
    hidden = after.planes.get("hidden", np.zeros(after.num_pieces, dtype=bool))
    drawn = after.piece_ids[(is_new | ~stands) & ~hidden]
    assert not VOCABULARY.is_special[drawn].any(), "special pieces are never drawn"
    if corruption.keeps_places:
        assert origin.tolist() == list(range(rows.num_pieces))


@each_corruption
@each_law
def test_what_is_not_chosen_stays(corruption: Corruption, law: Selection) -> None:
    rows = text_rows(LENGTHS)
    chosen, shown = edited(corruption, law, rows)
    is_chosen = np.isin(shown.origin, chosen.positions) | (shown.origin < 0)
    assert (shown.rows.piece_ids[~is_chosen] == rows.piece_ids[shown.origin[~is_chosen]]).all()
    unchosen = np.setdiff1d(np.arange(rows.num_pieces), chosen.positions)
    assert np.isin(unchosen, shown.origin).all()


@each_corruption
def test_nothing_chosen_changes_nothing(corruption: Corruption) -> None:
    rows = text_rows(LENGTHS)
    none = Chosen(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    shown = corruption(rows, corruption.settled(rows, none, VOCABULARY), noise(), VOCABULARY)
    assert shown.rows.piece_ids.tolist() == rows.piece_ids.tolist()
    assert shown.origin.tolist() == list(range(rows.num_pieces))


@each_corruption
@each_law
def test_no_dependence_on_the_batch(corruption: Corruption, law: Selection) -> None:
    rows, order = text_rows([*LENGTHS, 300]), [8, 3, 0, 7]
    few = taken(rows, order)
    (_, whole), (_, part) = edited(corruption, law, rows), edited(corruption, law, few)
    for values in ("piece_ids", "special", "word_start"):
        in_all = [getattr(s.rows, values, None) for s in (whole, part)]
        if in_all[0] is None:
            in_all = [s.rows.planes[values] for s in (whole, part)]
        expected = by_row(whole.rows, np.arange(whole.rows.num_pieces), in_all[0])
        assert by_row(part.rows, np.arange(part.rows.num_pieces), in_all[1]) == [expected[n] for n in order]


@each_corruption
@each_law
def test_length_after(corruption: Corruption, law: Selection) -> None:
    for size in (1, 6, 40):
        rows = text_rows([size] * 30)
        chosen, shown = edited(corruption, law, rows)
        counts = np.diff(np.searchsorted(chosen.positions, rows.row_starts))
        begins = np.diff(np.searchsorted(chosen.positions[chosen.begins], rows.row_starts))
        gaps = np.diff(np.searchsorted(chosen.gaps, rows.row_starts))
        for row in range(30):
            longest = corruption.length_after(
                size, fewest=int(counts[row]), most=int(counts[row]), spans=int((begins + gaps)[row])
            )
            assert shown.rows.lengths[row] - 2 <= longest


@each_corruption
def test_no_rows(corruption: Corruption) -> None:
    _, shown = edited(corruption, FixedCount(), text_rows([]))
    assert len(shown.rows) == 0 and len(shown.origin) == 0
