"""Every answer, with every edit it fits: the text can be rebuilt, nothing is asked of special pieces or
depends on the batch.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from itertools import product

import numpy as np
import pytest

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.base.rows import Rows
from afterbert.pretext.answers import Answer
from afterbert.pretext.corruptions import Corruption
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.segment_pair_nsp import SegmentPairNsp
from afterbert.pretext.posed import AskedInPlace, Places, Pointers, Posed, RowLabels, WrittenText
from afterbert.pretext.selections import Selection
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.independent import Independent
from afterbert.pretext.selections.one_fragment import OneFragment
from afterbert.pretext.selections.permutation_tail import PermutationTail
from afterbert.pretext.selections.poisson_spans import PoissonSpans
from afterbert.pretext.selections.suffix import Suffix
from afterbert.pretext.selections.t5_partition import T5Partition
from afterbert.pretext.sight import Sight
from afterbert.pretext.task import Pretext
from invented_rows import VOCABULARY, by_row, noise, taken, text_rows
from told_by_tasks import UNKNOWN, trivial_accuracy, undo

LENGTHS = [*range(6), 8, 13, 40]
LAWS: list[Selection] = [
    FixedCount(),
    FixedCount("word", rate=0.6),
    Independent(rate=0.3),
    PoissonSpans(rate=0.4, mean=1.5),
    PoissonSpans(rate=0.4, shortest=1),
    T5Partition(rate=0.5),
    OneFragment(),
    Suffix(),
    PermutationTail(context=3),
    All(),
]
SIGHTS = (Sight(), Sight(("prefix", "causal")), Sight(("permutation",)))
CORRUPTIONS = [plugins.find(Corruption, name)() for name in plugins.names(Corruption)]
FIRST_EDITS = [(), (Edit(All(), plugins.find(Corruption, "permute_sentences")()),)]


def answers() -> list[Answer]:
    """Every answer with every choice of its settings."""
    found: list[Answer] = []
    for name in plugins.names(Answer):
        cls = plugins.find(Answer, name)
        found.append(cls())
        found += [cls(closing=closing) for f in fields(cls) if f.name == "closing" for closing in ("sentinel", "both")]
    return found


@cache
def fitting(answer: Answer) -> list[Pretext]:
    """All tasks that ask for this, of one edit or of two."""
    found = []
    for law, corruption, sight, first in product(LAWS, CORRUPTIONS, SIGHTS, FIRST_EDITS):
        try:
            found.append(Pretext(SegmentPairNsp(), (*first, Edit(law, corruption)), (answer,), sight))
        except UserError:
            continue
    return found


ANSWERS = answers()
each_answer = pytest.mark.parametrize("answer", ANSWERS, ids=str)


def posed_on(task: Pretext, rows: Rows) -> Posed:
    return task.pose(rows, noise(), VOCABULARY, (rows.keys % np.uint64(2)).astype(np.int64))


def rebuilds(task: Pretext) -> bool:
    """Whether shown rows and answer hold the whole text."""
    name = plugins.name_of(task.answers[0])
    effects = {edit.corruption.effect for edit in task.edits}
    if name in ("whole_text", "in_place", "missing_spans", "dropped"):
        return True
    if name == "next":
        return effects == {"nothing"}
    if name in ("deleted", "replaced"):
        return False
    return not effects & {"content", "removal"}


@each_answer
def test_fits_somewhere(answer: Answer) -> None:
    assert fitting(answer)


@each_answer
def test_undo(answer: Answer) -> None:
    rows = text_rows(LENGTHS * 2)
    for task in fitting(answer):
        told = undo(posed_on(task, rows))
        known = told != UNKNOWN
        assert (told[known] == rows.piece_ids[known]).all(), f"a piece told wrongly: {task}"
        assert known.all() or not rebuilds(task), f"not rebuilt: {task}"


@each_answer
def test_form(answer: Answer) -> None:
    rows = text_rows(LENGTHS)
    for task in fitting(answer)[::2]:
        posed = posed_on(task, rows)
        shown, (asked,) = posed.shown, posed.asked
        if isinstance(asked, AskedInPlace):
            assert (np.diff(asked.positions) > 0).all() and (np.diff(asked.spans) >= 0).all()
            assert len(asked.target_ids) == len(asked.positions) == len(asked.spans)
            ahead = asked.positions + asked.ahead
            assert asked.ahead or not shown.planes["special"][asked.positions].any()
            assert (shown.row_of[ahead] == shown.row_of[asked.positions]).all()
        elif isinstance(asked, WrittenText):
            assert len(asked.target) == len(rows) and asked.target.keys.tolist() == rows.keys.tolist()
            assert (asked.target.lengths > 0).all()
            if asked.places is not None:
                assert len(asked.places) == asked.target.num_pieces and (asked.places >= 0).all()
                assert (asked.places <= np.repeat(rows.lengths, asked.target.lengths)).all()
        elif isinstance(asked, Places):
            assert (np.diff(asked.positions) > 0).all() and set(asked.labels.tolist()) <= {0, 1}
        elif isinstance(asked, Pointers):
            assert (np.diff(asked.positions) > 0).all() and asked.candidates[asked.targets].all()
            assert (shown.row_of[asked.positions] == shown.row_of[asked.targets]).all()
        else:
            assert isinstance(asked, RowLabels) and asked.name == "next_sentence"
        accuracy = trivial_accuracy(asked, shown)
        assert np.isnan(accuracy) or 0 < accuracy <= 1


def in_rows(asked: object, shown: Rows) -> list[list[tuple[int, ...]]]:
    """What is asked, row by row."""
    if isinstance(asked, AskedInPlace):
        return by_row(shown, asked.positions, asked.target_ids)
    if isinstance(asked, Places):
        return by_row(shown, asked.positions, asked.labels)
    if isinstance(asked, Pointers):
        return by_row(shown, asked.positions, asked.targets - asked.positions)
    if isinstance(asked, WrittenText):
        target = asked.target
        places = target.position_in_row if asked.places is None else asked.places
        return by_row(target, np.arange(target.num_pieces), target.piece_ids, places)
    assert isinstance(asked, RowLabels)
    return [[(int(label),)] for label in asked.labels]


@each_answer
def test_no_dependence_on_the_batch(answer: Answer) -> None:
    rows, order = text_rows(LENGTHS), [7, 2, 8, 0]
    few = taken(rows, order)
    for task in fitting(answer)[::4]:
        whole, part = posed_on(task, rows), posed_on(task, few)
        expected = in_rows(whole.asked[0], whole.shown)
        assert in_rows(part.asked[0], part.shown) == [expected[number] for number in order]


@each_answer
def test_nothing_there(answer: Answer) -> None:
    for task in fitting(answer)[::5]:
        for rows in (text_rows([]), text_rows([0, 0])):
            posed = posed_on(task, rows)
            assert len(posed.shown) == len(rows)
            (asked,) = posed.asked
            if isinstance(asked, Places):
                assert not asked.labels.any()
            elif isinstance(asked, AskedInPlace | Pointers):
                assert len(asked.positions) == 0


@each_answer
def test_lengths_are_kept(answer: Answer) -> None:
    for task in fitting(answer)[::4]:
        row_length = task.row_length(20)
        assert task.shown_length(row_length) <= 20
        rows = text_rows([row_length - 2] * 20)  # one special piece fewer than the pairing has
        posed = posed_on(task, rows)
        assert posed.shown.lengths.max() <= 21
        written, longest = posed.asked[0], task.target_length(row_length + 1)
        assert (longest is None) == (not isinstance(written, WrittenText))
        if isinstance(written, WrittenText) and longest is not None:
            assert written.target.lengths.max() <= longest
