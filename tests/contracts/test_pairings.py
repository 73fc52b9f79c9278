"""Every pairing: rows of at most the length asked for, special pieces marked, the same rows however they are
taken.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.pretext.pairings import Pairing, Plan
from invented_rows import VOCABULARY, FakeSplit, by_row, invented, noise, split_of

SPLITS = {
    "many": invented(40),
    "one_document": invented(1),
    "one_piece": split_of([[[100]]]),
    "one_sentence_each": invented(30, sentences=1),
    "long_sentences": invented(6, pieces=90),
    "nothing": split_of([]),
}


def variants() -> list[Pairing]:
    """Every pairing as it comes, and with its choices taken."""
    found: list[Pairing] = []
    for name in plugins.names(Pairing):
        cls = plugins.find(Pairing, name)
        names = {field.name for field in fields(cls)}
        found.append(cls())
        found += [cls(bounds="keep"), cls(bounds="language")] if "bounds" in names else []
        found += [cls(opens="none", closes="eos", between="none")] if "between" in names else []
        found += [cls(random_rate=0.0)] if "random_rate" in names else []
        found += [cls(reuse_share=0.5)] if "reuse_share" in names else []
    return found


each_pairing = pytest.mark.parametrize("pairing", variants(), ids=str)
each_split = pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)


def planned(pairing: Pairing, split: FakeSplit, length: int = 24, view: int = 0) -> Plan:
    return pairing.plan(split, length=length, vocabulary=VOCABULARY, noise=noise(view=view))


@each_pairing
@each_split
@pytest.mark.parametrize("length", [5, 24, 200])
def test_form(pairing: Pairing, split: FakeSplit, length: int) -> None:
    plan = planned(pairing, split, length)
    rows = plan.rows(np.arange(len(plan)))
    there = len(split.pairs[1]) if plugins.name_of(pairing) == "translation" else split.num_pieces
    assert len(rows) == len(plan) and (len(plan) > 0) == (there > 0)
    assert rows.lengths.max(initial=0) <= length and rows.lengths.min(initial=1) > 0
    special = rows.planes["special"]
    assert (special == np.isin(rows.piece_ids, VOCABULARY.special_ids)).all()
    per_row = np.bincount(rows.row_of[special], minlength=len(rows))
    assert per_row.min(initial=9) >= min(2, pairing.num_specials)
    if not pairing.has_inner_specials:
        assert (per_row == pairing.num_specials).all()
    assert len(set(rows.keys.tolist())) == len(rows)
    always, perhaps = {"special", "segment", "document", "count"}, {"reused", "position"}
    assert set(split.plane_names) | always == set(rows.planes) - perhaps
    counts = np.bincount(split.ids, minlength=VOCABULARY.size)
    assert rows.planes["count"].tolist() == np.where(special, 0, counts[rows.piece_ids]).tolist()
    where = rows.piece_ids[~special] - 100  # invented ids count up through the store
    for name in split.plane_names:
        assert (rows.planes[name][~special] == split.plane(name, where)).all()
        assert not rows.planes[name][special].any()
    labels = plan.labels(np.arange(len(plan)))
    assert (labels is None) == (pairing.question is None)
    assert labels is None or set(labels.tolist()) <= {-1, 0, 1}


@each_pairing
@each_split
def test_rows_do_not_depend_on_how_they_are_taken(pairing: Pairing, split: FakeSplit) -> None:
    plan = planned(pairing, split)
    rows = plan.rows(np.arange(len(plan)))
    whole = by_row(rows, np.arange(rows.num_pieces), rows.piece_ids, rows.planes["segment"], rows.planes["document"])
    order = np.random.default_rng(0).permutation(len(plan))[:7]
    some = plan.rows(order)
    found = by_row(some, np.arange(some.num_pieces), some.piece_ids, some.planes["segment"], some.planes["document"])
    assert found == [whole[number] for number in order]
    assert some.keys.tolist() == rows.keys[order].tolist()
    empty = plan.rows(np.zeros(0, dtype=np.int64))
    assert len(empty) == 0 and set(empty.planes) == set(rows.planes)


@each_pairing
def test_same_noise_same_plan(pairing: Pairing) -> None:
    first, again, other = (planned(pairing, SPLITS["many"], view=view) for view in (0, 0, 1))
    ids = [plan.rows(np.arange(len(plan))).piece_ids.tolist() for plan in (first, again, other)]
    assert ids[0] == ids[1]
    if getattr(pairing, "random_rate", 1.0):
        assert ids[0] != ids[2], "every view pairs anew"


@each_pairing
def test_neighbours_stay_neighbours(pairing: Pairing) -> None:
    """Within one segment of one document no piece is missing or out of order (invented ids count up)."""
    plan = planned(pairing, SPLITS["many"])
    rows = plan.rows(np.arange(len(plan)))
    is_text = ~rows.planes["special"]
    group = np.stack([rows.row_of, rows.planes["segment"], rows.planes["document"]])[:, is_text]
    ids = rows.piece_ids[is_text]
    same = (np.diff(group, axis=1) == 0).all(axis=0)
    assert same.any() and (np.diff(ids)[same] == 1).all()


@each_pairing
def test_a_row_too_short_for_text_is_refused(pairing: Pairing) -> None:
    with pytest.raises(UserError, match="no room for text"):
        planned(pairing, SPLITS["many"], length=pairing.num_specials)
