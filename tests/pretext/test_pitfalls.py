"""Mistakes seen in public code of these tasks, one test each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.rows import Rows
from afterbert.pretext.answers.deleted import Deleted
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.answers.missing_spans import MissingSpans
from afterbert.pretext.answers.next import Next
from afterbert.pretext.answers.pair_label import PairLabel
from afterbert.pretext.answers.replaced import Replaced
from afterbert.pretext.answers.whole_text import WholeText
from afterbert.pretext.corruptions import Corruption
from afterbert.pretext.corruptions.delete import Delete
from afterbert.pretext.corruptions.insert import Insert
from afterbert.pretext.corruptions.keep import Keep
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.corruptions.one_mask_per_span import OneMaskPerSpan
from afterbert.pretext.corruptions.permute_sentences import PermuteSentences
from afterbert.pretext.corruptions.replace import Replace
from afterbert.pretext.corruptions.sentinels import Sentinels
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.pairings.sop import Sop
from afterbert.pretext.posed import AskedInPlace, Posed, WrittenText
from afterbert.pretext.selections import Chosen, Selection
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.fixed_spans import FixedSpans
from afterbert.pretext.selections.geometric_spans import GeometricSpans
from afterbert.pretext.selections.independent import Independent
from afterbert.pretext.selections.ngrams import Ngrams
from afterbert.pretext.selections.permutation_tail import PermutationTail
from afterbert.pretext.selections.poisson_spans import PoissonSpans
from afterbert.pretext.selections.staged import Stage, Staged
from afterbert.pretext.selections.suffix import Suffix
from afterbert.pretext.selections.t5_partition import T5Partition
from afterbert.pretext.sight import Sight
from afterbert.pretext.task import Pretext
from invented_rows import SENTINELS, VOCABULARY, by_row, invented, noise, taken, text_rows

T5_ROWS = Packed(opens="none", closes="eos", between="none")


def task(selection: Selection, corruption: Corruption, *answers: object, sight: Sight | None = None) -> Pretext:
    return Pretext(Packed(), (Edit(selection, corruption),), answers, sight or Sight())  # type: ignore[arg-type]


def posed(pretext: Pretext, rows: Rows) -> Posed:
    return pretext.pose(rows, noise(), VOCABULARY)


def test_t5_masks_without_roll_never_touch_the_first_piece_and_always_the_last() -> None:
    rows = text_rows([20] * 500)
    faithful = by_row(rows, T5Partition(roll=False)(rows, noise()).positions)
    assert all(row[0] > (1,) and row[-1] == (20,) for row in faithful)
    rolled = by_row(rows, T5Partition()(rows, noise()).positions)
    assert 0.08 < np.mean([row[0] == (1,) for row in rolled]) < 0.22, "3 of 20"
    assert 0.08 < np.mean([row[-1] == (20,) for row in rolled]) < 0.22


@pytest.mark.parametrize("rate", [0.5, 0.95, 1.0])
@pytest.mark.parametrize("roll", [True, False])
def test_high_density_does_not_fail(rate: float, roll: bool) -> None:
    rows = text_rows([0, 1, 2, 3, 4, 5, 50, 500])
    law = T5Partition(rate=rate, mean_span=1, roll=roll)
    chosen = law(rows, noise())
    counts = [len(row) for row in by_row(rows, chosen.positions)]
    assert counts == law.budget(rows.lengths - 2).tolist() and counts[-1] <= 499


def test_positions_are_drawn_without_replacement() -> None:
    rows = text_rows([30] * 50)
    assert all(len(set(row)) == 27 for row in by_row(rows, FixedCount(rate=0.9)(rows, noise()).positions))


def test_special_pieces_are_neither_chosen_nor_drawn() -> None:
    rows = text_rows([60] * 60)
    shown = posed(task(All(), Replace(), WholeText()), rows).shown
    assert not VOCABULARY.is_special[shown.piece_ids[~rows.planes["special"]]].any()
    assert (shown.piece_ids[rows.planes["special"]] == rows.piece_ids[rows.planes["special"]]).all()
    none_left = replace(VOCABULARY, special_ids=tuple(range(VOCABULARY.size)))
    with pytest.raises(UserError, match="special pieces only"):
        task(All(), Replace(), WholeText()).pose(rows, noise(), none_left)


def test_kept_and_replaced_pieces_are_asked_too() -> None:
    """Whoever looks for the mask id to find what is asked loses a fifth of it."""
    rows = text_rows([100] * 100)
    result = posed(task(FixedCount(), Mask(), InPlace()), rows)
    (asked,) = result.asked
    assert isinstance(asked, AskedInPlace) and len(asked.positions) == 1500
    assert (asked.target_ids == rows.piece_ids[asked.positions]).all()
    shown = result.shown.piece_ids[asked.positions]
    masked, kept = (shown == VOCABULARY.mask).mean(), (shown == asked.target_ids).mean()
    spread = 4.5 * np.sqrt(0.8 * 0.2 / 1500)
    assert masked == pytest.approx(0.8, abs=spread) and kept == pytest.approx(0.1, abs=spread)


def test_draws_per_span_hold_for_the_whole_span() -> None:
    rows = text_rows([100] * 100, word_rate=0.3)
    law = FixedCount("word", rate=0.5)
    for per, together in (("span", True), ("piece", False)):
        result = posed(task(law, Mask(per=per), InPlace()), rows)  # type: ignore[arg-type]
        chosen = result.steps[0].chosen
        is_mask = result.shown.piece_ids[chosen.positions] == VOCABULARY.mask
        by_span = [set(is_mask[chosen.spans == span].tolist()) for span in range(200)]
        assert all(len(kinds) == 1 for kinds in by_span) is together
    drawn = result.shown.piece_ids[chosen.positions[~is_mask]]
    assert len(set(drawn.tolist())) > 100, "every piece of a span gets its own random piece"


def test_neighbouring_spans_stay_two() -> None:
    rows = text_rows([6])
    two = Chosen(np.array([2, 3, 4]), np.array([0, 0, 1]))
    shown = OneMaskPerSpan()(rows, two, noise(), VOCABULARY).rows
    assert (shown.piece_ids == VOCABULARY.mask).sum() == 2
    merging = OneMaskPerSpan(merges_neighbours=True)
    one = merging.settled(rows, two, VOCABULARY)
    assert (merging(rows, one, noise(), VOCABULARY).rows.piece_ids == VOCABULARY.mask).sum() == 1
    dense = text_rows([40] * 100)
    chosen = FixedSpans(rate=0.75, length=3)(dense, noise())
    assert {len(row) for row in by_row(dense, chosen.positions[chosen.begins])} == {10}


def test_spans_at_the_ends_of_rows_do_not_merge() -> None:
    rows = text_rows([3, 3], ends=False)
    everything = OneMaskPerSpan(merges_neighbours=True)
    settled = everything.settled(rows, All()(rows, noise()), VOCABULARY)
    assert settled.spans.tolist() == [0, 0, 0, 1, 1, 1]


def test_empty_spans_are_shown_or_refused() -> None:
    rows = text_rows([40] * 50)
    law = PoissonSpans(rate=0.3)
    result = posed(task(law, OneMaskPerSpan(), WholeText()), rows)
    chosen = result.steps[0].chosen
    assert len(chosen.gaps) > 0
    assert (result.shown.piece_ids == VOCABULARY.mask).sum() == len(chosen.begins) + len(chosen.gaps)
    with pytest.raises(UserError, match="empty spans, which corruption mask would drop silently"):
        task(law, Mask(), InPlace())
    task(PoissonSpans(shortest=1), Mask(), InPlace())


def test_more_spans_than_sentinels() -> None:
    """Those beyond the last sentinel stay in the text and are not asked; the others are as if there were
    sentinels enough.
    """
    rows = text_rows([30] * 3)
    pretext = Pretext(T5_ROWS, (Edit(Independent(rate=0.4), Sentinels()),), (MissingSpans(),))
    few = replace(VOCABULARY, sentinels=SENTINELS[:3])
    result, whole = pretext.pose(rows, noise(), few), posed(pretext, rows)
    for row in range(3):
        low, high = result.shown.row_starts[row : row + 2]
        ids = result.shown.piece_ids[low:high].tolist()
        assert [i for i in ids if i in SENTINELS] == list(SENTINELS[:3])
        after = ids.index(SENTINELS[2])
        whole_low = whole.shown.row_starts[row]
        assert whole.shown.piece_ids[whole_low : whole_low + after + 1].tolist() == ids[: after + 1]
    target = result.asked[0]
    assert isinstance(target, WrittenText)
    assert {int(i) for i in target.target.piece_ids} & set(SENTINELS) == set(SENTINELS[:3])


def test_too_few_sentinels_are_known_before_the_first_row() -> None:
    with pytest.raises(UserError, match="no sentinels"):
        t5 = Pretext(T5_ROWS, (Edit(T5Partition(), Sentinels()),), (MissingSpans(),))
        t5.check(replace(VOCABULARY, sentinels=()), 100)
    with pytest.raises(UserError, match="no sentinels"):
        t5.pose(text_rows([9]), noise(), replace(VOCABULARY, sentinels=()))
    t5.check(VOCABULARY, 569)
    with pytest.raises(UserError, match="up to 86 spans, the tokenizer 40 sentinels"):
        Pretext(T5_ROWS, (Edit(T5Partition(rate=0.5), Sentinels()),), (MissingSpans(),)).check(VOCABULARY, 512)
    with pytest.raises(UserError, match="no mask token"):
        task(FixedCount(), Mask(), InPlace()).check(replace(VOCABULARY, mask=None), 100)
    task(FixedCount(), Mask(masked=0.0), InPlace()).check(replace(VOCABULARY, mask=None), 100)


@pytest.mark.parametrize("law", [GeometricSpans(rate=0.2), FixedCount("word", rate=0.2), Ngrams(rate=0.2)], ids=str)
def test_whole_words_keep_the_budget(law: Selection) -> None:
    rows = text_rows([50] * 200, word_rate=0.25)
    counts = np.array([len(row) for row in by_row(rows, law(rows, noise()).positions)])
    assert counts.max() == 10 and counts.mean() > 9


def test_sentences_come_from_the_plane() -> None:
    rows = text_rows([60] * 20)
    bare = replace(rows, planes={"special": rows.planes["special"]})
    pretext = task(All(), PermuteSentences(), WholeText())
    with pytest.raises(UserError, match="needs the plane 'sentence_start'"):
        posed(pretext, bare)
    result = posed(pretext, rows)
    starts = rows.planes["sentence_start"]
    before = [tuple(run.tolist()) for run in np.split(rows.piece_ids, np.flatnonzero(starts | rows.planes["special"]))]
    after_starts = result.shown.planes["sentence_start"] | result.shown.planes["special"]
    after = [tuple(run.tolist()) for run in np.split(result.shown.piece_ids, np.flatnonzero(after_starts))]
    assert sorted(before) == sorted(after) and before != after


def test_noise_depends_on_row_and_view_alone() -> None:
    """Not on the batch, the order in it, or who draws it."""
    rows = text_rows([40] * 32)
    pretext = task(FixedCount("word"), Mask(), InPlace())
    whole = posed(pretext, rows)
    expected = by_row(rows, np.arange(rows.num_pieces), whole.shown.piece_ids)
    for size in (1, 3, 32):
        for begin in range(0, 32, size):
            numbers = list(range(begin, min(begin + size, 32)))[::-1]
            part = posed(pretext, taken(rows, numbers)).shown
            assert by_row(part, np.arange(part.num_pieces), part.piece_ids) == [expected[n] for n in numbers]
    other = pretext.pose(rows, noise(view=1), VOCABULARY)
    assert other.shown.piece_ids.tolist() != whole.shown.piece_ids.tolist()


def test_what_would_leak_is_refused() -> None:
    with pytest.raises(UserError, match="can read where they stand"):
        task(FixedCount(), Keep(), InPlace())
    with pytest.raises(UserError, match="can read where they stand"):
        task(PermutationTail(), Keep(), InPlace(), sight=Sight(("permutation", "full")))
    task(PermutationTail(), Keep(), InPlace(), sight=Sight(("permutation",)))
    with pytest.raises(UserError, match="visibility full"):
        task(All(), Keep(), Next())
    with pytest.raises(UserError, match="shown as it is"):
        task(All(), Keep(), WholeText())
    with pytest.raises(UserError, match=r"given away by \[MASK\]"):
        task(FixedCount(), Mask(), Replaced())


def test_nothing_is_asked_inside_a_visible_prefix() -> None:
    rows = text_rows([1, 2, 9, 30])
    pretext = task(Suffix(), Keep(), Next(), sight=Sight(("prefix",)))
    result = posed(pretext, rows)
    (asked,), seen = result.asked, result.visibility.prefix_lengths
    assert isinstance(asked, AskedInPlace) and seen is not None
    target = asked.positions + 1
    assert (rows.position_in_row[target] >= seen[rows.row_of[target]]).all()
    counts = [len(row) for row in by_row(rows, target)]
    assert counts == [max(0, n - int(s)) if n > 3 else 0 for n, s in zip(rows.lengths, seen)]


def test_a_prefix_of_half_the_row_is_not_asked_either() -> None:
    rows = text_rows([1, 2, 9, 30])
    for kinds in (("prefix",), ("prefix", "causal")):
        result = posed(task(All(), Keep(), Next(), sight=Sight(kinds, prefix_ends="half")), rows)
        (asked,), visibility = result.asked, result.visibility
        assert isinstance(asked, AskedInPlace)
        kind = [visibility.kind] * 4 if isinstance(visibility.kind, str) else visibility.kind
        counts = [len(row) for row in by_row(rows, asked.positions)]
        assert counts == [n - n // 2 if k == "prefix" else n - 1 for n, k in zip(rows.lengths.tolist(), kind)]


def test_sop_does_not_fall_back_to_nsp() -> None:
    plan = Sop().plan(invented(40, sentences=1), length=40, vocabulary=VOCABULARY, noise=noise())
    labels = plan.labels(np.arange(len(plan)))
    assert labels is not None and set(labels.tolist()) == {-1}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 101])
def test_odd_lengths_in_permutation(size: int) -> None:
    rows = text_rows([size] * 3)
    result = posed(task(PermutationTail(), Keep(), InPlace(), sight=Sight(("permutation",))), rows)
    (asked,), rank = result.asked, result.visibility.rank
    assert isinstance(asked, AskedInPlace) and rank is not None
    assert np.flatnonzero(rank).tolist() == asked.positions.tolist()
    assert len(asked.positions) == 3 * max(1, round(size / 6))


def test_nothing_chosen_asks_nothing() -> None:
    rows = text_rows([0, 1, 2])
    result = posed(task(Independent(rate=1e-9), Mask(), InPlace()), rows)
    assert len(result.asked[0].positions) == 0  # type: ignore[union-attr]
    assert result.shown.piece_ids.tolist() == rows.piece_ids.tolist()


def test_t5_rows_fill_the_input_exactly() -> None:
    """568 raw pieces and the end piece become 512; the target has 114."""
    pretext = Pretext(T5_ROWS, (Edit(T5Partition(roll=False), Sentinels()),), (MissingSpans(),))
    assert pretext.row_length(512) == 569 and pretext.target_length(569) == 114
    rows = text_rows([567] * 4)  # with [CLS], which is made an ordinary piece here
    rows = rows.with_planes(special=rows.piece_ids == VOCABULARY.sep)
    result = posed(pretext, rows)
    assert set(result.shown.lengths.tolist()) == {512}
    assert isinstance(result.asked[0], WrittenText) and set(result.asked[0].target.lengths.tolist()) == {114}
    rolled = Pretext(T5_ROWS, (Edit(T5Partition(), Sentinels()),), (MissingSpans(),))
    assert rolled.row_length(512) == 568, "the roll may cut one span in two"


def test_rows_are_cut_to_what_an_edit_makes_of_them() -> None:
    kept = Packed(bounds="keep")
    lengths = {
        "insert": Pretext(kept, (Edit(FixedCount(rate=0.5), Insert()),), (WholeText(),)).row_length(128),
        "delete": Pretext(kept, (Edit(FixedCount(rate=0.5), Delete()),), (Deleted(),)).row_length(128),
        "mask": task(FixedCount(), Mask(), InPlace()).row_length(128),
        "crossing": task(T5Partition(), Sentinels(), MissingSpans()).row_length(128),
    }
    assert lengths == {"insert": 86, "delete": 254, "mask": 128, "crossing": 128}


def test_a_row_that_comes_out_longer_than_planned_loses_its_end() -> None:
    """Unknown pieces are not deleted; positions may end at 128."""
    pretext = Pretext(Packed(bounds="keep"), (Edit(FixedCount(rate=0.5), Delete()),), (Deleted(),))
    rows = text_rows([pretext.row_length(128) - 2] * 2)
    rows.piece_ids[1:60] = VOCABULARY.unk
    assert posed(pretext, rows).shown.lengths.max() > 128
    shown = pretext.fitted(rows, noise(), VOCABULARY, None, 128).shown
    assert 120 <= shown.lengths[0] <= shown.lengths[1] == 128
    assert shown.piece_ids[shown.row_starts[1:] - 1].tolist() == [VOCABULARY.sep] * 2
    first = replace(rows.take(np.arange(rows.row_starts[1]), rows.row_starts[:2]), keys=rows.keys[:1])
    alone = pretext.fitted(first, noise(), VOCABULARY, None, 128).shown
    assert alone.piece_ids.tolist() == shown.piece_ids[: shown.lengths[0]].tolist()
    bare = Rows(np.full(200, VOCABULARY.sep), np.array([0, 200]), rows.keys[:1], {"special": np.ones(200, dtype=bool)})
    assert pretext.fitted(bare, noise(), VOCABULARY, None, 128).shown.num_pieces == 200


def test_rows_for_laws_in_turn_are_planned_for_each_of_them() -> None:
    law = Staged((Stage(FixedCount(rate=0.5)), Stage(FixedCount(rate=0.1))))
    for corruption, length in ((Delete(), 128), (Insert(), 86)):
        pretext = Pretext(Packed(bounds="keep"), (Edit(law, corruption),), (WholeText(),))
        assert pretext.row_length(128) == length


def test_a_pair_label_needs_a_pair() -> None:
    with pytest.raises(UserError, match="packed has none"):
        task(FixedCount(), Mask(), InPlace(), PairLabel())


def test_tasks_that_ask_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="asks nothing"):
        task(FixedCount(), Mask())
    with pytest.raises(UserError, match="needs a selection that draws an order"):
        task(FixedCount(), Mask(), InPlace(), sight=Sight(("permutation",)))
    with pytest.raises(UserError, match="add up to more than 1"):
        Mask(masked=0.8, random=0.3)
    with pytest.raises(UserError, match="exactly one edit with corruption delete, found 0"):
        task(FixedCount(), Mask(), Deleted())
    with pytest.raises(UserError, match="move no piece"):
        edits = (Edit(FixedCount(), Delete()), Edit(All(), PermuteSentences()))
        Pretext(Packed(), edits, (Deleted(),))


def test_a_tokenizer_without_the_piece_is_named() -> None:
    rows, bare = text_rows([9]), replace(VOCABULARY, mask=None, eos=None, sep=None)
    with pytest.raises(UserError, match="no mask token"):
        task(FixedCount(), Mask(), InPlace()).pose(rows, Noise(0), bare)
    with pytest.raises(UserError, match="no sep token"):
        task(FixedCount(), Sentinels(), MissingSpans()).pose(rows, Noise(0), bare)
    with pytest.raises(UserError, match="no cls token"):
        Packed().plan(invented(3), length=9, vocabulary=replace(VOCABULARY, cls=None), noise=noise())
