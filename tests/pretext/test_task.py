"""Tasks as a whole: known inputs with one possible outcome, edits that follow one another, the way back by hand."""

from __future__ import annotations

import numpy as np
import pytest

from afterbert.base.rows import Rows
from afterbert.pretext.answers.deleted import Deleted
from afterbert.pretext.answers.dropped import Dropped
from afterbert.pretext.answers.in_place import InPlace
from afterbert.pretext.answers.inserted import Inserted
from afterbert.pretext.answers.missing_spans import MissingSpans
from afterbert.pretext.answers.next import Next
from afterbert.pretext.answers.sentence_order import SentenceOrder
from afterbert.pretext.answers.true_start import TrueStart
from afterbert.pretext.answers.whole_text import WholeText
from afterbert.pretext.corruptions.delete import Delete
from afterbert.pretext.corruptions.insert import Insert
from afterbert.pretext.corruptions.keep import Keep
from afterbert.pretext.corruptions.mask import Mask
from afterbert.pretext.corruptions.one_mask_per_span import OneMaskPerSpan
from afterbert.pretext.corruptions.permute_sentences import PermuteSentences
from afterbert.pretext.corruptions.rotate import Rotate
from afterbert.pretext.corruptions.sentinels import Sentinels
from afterbert.pretext.corruptions.shuffle import Shuffle
from afterbert.pretext.edits import Edit
from afterbert.pretext.pairings.packed import Packed
from afterbert.pretext.posed import AskedInPlace, Places, Pointers, Posed, RowLabels, WrittenText
from afterbert.pretext.selections.all import All
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.independent import Independent
from afterbert.pretext.selections.one_fragment import OneFragment
from afterbert.pretext.selections.permutation_tail import PermutationTail
from afterbert.pretext.selections.poisson_spans import PoissonSpans
from afterbert.pretext.selections.suffix import Suffix
from afterbert.pretext.selections.t5_partition import T5Partition
from afterbert.pretext.sight import Sight
from afterbert.pretext.statistics import statistics_of
from afterbert.pretext.task import Pretext
from invented_rows import SENTINELS, VOCABULARY, by_row, noise, text_rows
from told_by_tasks import trivial_accuracy

EOS = VOCABULARY.eos


def pose(rows: Rows, *edits: Edit, answers: tuple = (WholeText(),), sight: Sight | None = None) -> Posed:
    return Pretext(Packed(), edits, answers, sight or Sight()).pose(rows, noise(), VOCABULARY)


def lists(rows: Rows) -> list[list[int]]:
    return [rows.piece_ids[a:b].tolist() for a, b in zip(rows.row_starts, rows.row_starts[1:])]


@pytest.mark.parametrize("law", [T5Partition(rate=0.4), Independent(rate=0.4), PoissonSpans(rate=0.4)], ids=str)
@pytest.mark.parametrize("closing", ["end", "sentinel", "both"])
def test_the_way_back_by_sentinels_alone(law: T5Partition, closing: str) -> None:
    """Input and target, read as T5 reads them, without any map."""
    rows = text_rows([1, 2, 5, 30, 60])
    result = pose(rows, Edit(law, Sentinels()), answers=(MissingSpans(closing=closing),))  # type: ignore[arg-type]
    (asked,) = result.asked
    assert isinstance(asked, WrittenText)
    for original, shown, target in zip(lists(rows), lists(result.shown), lists(asked.target)):
        marks = [i for i in shown if i in SENTINELS]
        assert marks == list(SENTINELS[: len(marks)]), "in falling order"
        ends = {"end": [EOS], "sentinel": [SENTINELS[len(marks)]], "both": [SENTINELS[len(marks)], EOS]}[closing]
        assert target[-len(ends) :] == ends
        runs: dict[int, list[int]] = {}
        for piece in target[: -len(ends)]:
            if piece in SENTINELS:
                current = runs.setdefault(piece, [])
            else:
                current.append(piece)
        assert list(runs) == marks
        assert [i for piece in shown for i in runs.get(piece, [piece])] == original


def test_sentence_order_by_pointers_alone() -> None:
    rows = text_rows([0, 1, 6, 60, 90])
    result = pose(rows, Edit(All(), PermuteSentences()), answers=(SentenceOrder(),))
    (asked,) = result.asked
    assert isinstance(asked, Pointers)
    follows = dict(zip(asked.positions.tolist(), asked.targets.tolist()))
    starts = np.flatnonzero(asked.candidates)
    for row, original in enumerate(lists(rows)):
        low, high = int(rows.row_starts[row]), int(rows.row_starts[row + 1])
        mine = [int(at) for at in starts if low <= at < high]
        if len(mine) < 2:
            assert result.shown.piece_ids[low:high].tolist() == original
            continue
        end_of = dict(zip(mine, [*mine[1:], high - 1]))
        (first,) = set(mine) - {follows[at] for at in mine if follows[at] != at}
        chain = [first]
        while follows[chain[-1]] != chain[-1]:
            chain.append(follows[chain[-1]])
        told = [int(i) for at in chain for i in result.shown.piece_ids[at : end_of[at]]]
        assert told == original[1:-1]


def test_true_start_by_the_pointer_alone() -> None:
    rows = text_rows([0, 1, 2, 30])
    result = pose(rows, Edit(All(), Rotate()), answers=(TrueStart(),))
    (asked,) = result.asked
    assert isinstance(asked, Pointers) and asked.positions.tolist() == [rows.row_starts[2] + 1, rows.row_starts[3] + 1]
    for position, target, row in zip(asked.positions, asked.targets, (2, 3)):
        shown = result.shown.piece_ids[position : rows.row_starts[row + 1] - 1].tolist()
        turn = int(target - position)
        assert shown[turn:] + shown[:turn] == lists(rows)[row][1:-1]
    assert trivial_accuracy(asked, result.shown) == pytest.approx((1 / 2 + 1 / 30) / 2)


def test_rotation_starts_anywhere() -> None:
    rows = text_rows([5] * 4000)
    result = pose(rows, Edit(All(), Rotate()), answers=(TrueStart(),))
    first = result.origin.reshape(-1, 7)[:, 1] % 7
    assert np.bincount(first, minlength=6)[1:].min() > 680


def test_every_order_of_sentences_occurs() -> None:
    rows = Rows.of(*["[CLS] a . b . c . [SEP]"] * 1200)
    result = pose(rows, Edit(All(), PermuteSentences()))
    orders, counts = np.unique(result.shown.piece_ids.reshape(-1, 8)[:, [1, 3, 5]], axis=0, return_counts=True)
    assert len(orders) == 6 and counts.min() > 140


def test_sentences_stay_in_their_document() -> None:
    rows = Rows.of("[CLS] a . b . [SEP] c . d . [SEP]")
    rows = rows.with_planes(document=np.array([0] * 6 + [1] * 5))
    result = pose(rows, Edit(All(), PermuteSentences()))
    assert set(result.shown.piece_ids[1:5].tolist()) == set(rows.piece_ids[1:5].tolist())
    unseparated = Rows.of("[CLS] a . b . c . d . [SEP]").with_planes(document=np.array([0] * 5 + [1] * 5))
    for seed in range(20):
        shown = Pretext(Packed(), (Edit(All(), PermuteSentences()),), (WholeText(),)).pose(
            unseparated, noise(seed), VOCABULARY
        )
        assert set(shown.shown.piece_ids[1:5].tolist()) == set(unseparated.piece_ids[1:5].tolist())


def test_deleted_places() -> None:
    rows = text_rows([12] * 200)
    result = pose(rows, Edit(FixedCount(rate=0.3), Delete()), answers=(Deleted(),))
    (asked,) = result.asked
    assert isinstance(asked, Places)
    for row, labelled in enumerate(by_row(result.shown, asked.positions, asked.labels)):
        kept = result.origin[result.shown.row_starts[row] : result.shown.row_starts[row + 1]] - rows.row_starts[row]
        expected = [(at, int(kept[at] - kept[at - 1] > 1)) for at in range(1, len(kept))]
        assert labelled == expected, "one question a gap, the last before [SEP]"
    assert 0.5 < trivial_accuracy(asked, result.shown) < 0.8


def test_inserted_places() -> None:
    rows = text_rows([12] * 50)
    result = pose(rows, Edit(FixedCount(rate=0.3), Insert()), answers=(Inserted(),))
    (asked,) = result.asked
    assert isinstance(asked, Places)
    kept = result.shown.piece_ids[asked.positions[asked.labels == 0]]
    assert kept.tolist() == rows.piece_ids[~rows.planes["special"]].tolist()
    assert asked.labels.sum() == 4 * 50


def test_next_asks_for_the_end_too() -> None:
    rows = Rows.of("[CLS] a b [SEP]", "[CLS] [SEP]")
    for ends, expected in ((True, [10, 11, 3]), (False, [10, 11])):
        result = pose(rows, Edit(All(), Keep()), answers=(Next(ends=ends),), sight=Sight(("causal",)))
        (asked,) = result.asked
        assert isinstance(asked, AskedInPlace) and asked.ahead == 1
        assert asked.target_ids.tolist() == expected and asked.positions.tolist() == list(range(len(expected)))


def test_mass_predicts_the_fragment_at_its_place() -> None:
    rows = text_rows([10] * 30)
    fragment = Edit(OneFragment(), Mask(masked=1.0, random=0.0))
    result = pose(rows, fragment, answers=(Dropped(),))
    (asked,) = result.asked
    assert isinstance(asked, WrittenText) and asked.places is not None
    for row, (target, shown) in enumerate(zip(lists(asked.target), lists(result.shown))):
        masked = [at for at, piece in enumerate(shown) if piece == VOCABULARY.mask]
        assert target == [*(lists(rows)[row][at] for at in masked), EOS]
        low, high = asked.target.row_starts[row : row + 2]
        assert asked.places[low:high].tolist() == [*masked, masked[-1] + 1]


def test_bart_permutes_then_infills() -> None:
    rows = text_rows([60] * 40)
    result = pose(rows, Edit(All(), PermuteSentences()), Edit(PoissonSpans(), OneMaskPerSpan()))
    (asked,) = result.asked
    assert isinstance(asked, WrittenText) and asked.target is rows
    stands = result.origin >= 0
    assert (rows.piece_ids[result.origin[stands]] == result.shown.piece_ids[stands]).all()
    assert (np.diff(result.origin[stands]) < 0).any(), "sentences moved"
    assert (result.shown.piece_ids[~stands] == VOCABULARY.mask).all()
    assert result.shown.lengths.max() <= 62


def test_masks_that_move_are_asked_where_they_stand() -> None:
    rows = text_rows([60] * 10)
    for edits in (
        (Edit(FixedCount(), Mask()), Edit(All(), PermuteSentences())),
        (Edit(All(), PermuteSentences()), Edit(FixedCount(), Mask())),
        (Edit(FixedCount(), Mask()), Edit(FixedCount(), Mask()), Edit(FixedCount(), Insert())),
    ):
        result = pose(rows, *edits, answers=(InPlace(),))
        (asked,) = result.asked
        assert isinstance(asked, AskedInPlace)
        assert (asked.target_ids == rows.piece_ids[result.origin[asked.positions]]).all()
        masked = np.flatnonzero(result.shown.piece_ids == VOCABULARY.mask)
        assert np.isin(masked, asked.positions).all()
        together = np.diff(asked.spans) == 0
        assert (np.diff(asked.positions)[together] == 1).all()


def test_a_second_edit_leaves_hidden_pieces_alone() -> None:
    rows = text_rows([50] * 20)
    result = pose(rows, Edit(FixedCount(rate=0.5), OneMaskPerSpan()), Edit(FixedCount(rate=0.9), Delete()))
    assert (result.shown.piece_ids == VOCABULARY.mask).sum() == 25 * 20


def test_deshuffling_in_place() -> None:
    rows = text_rows([9] * 5)
    result = pose(rows, Edit(All(), Shuffle()), answers=(InPlace(),))
    (asked,) = result.asked
    assert isinstance(asked, AskedInPlace)
    assert asked.target_ids.tolist() == rows.piece_ids[~rows.planes["special"]].tolist()
    for shown, original in zip(lists(result.shown), lists(rows)):
        assert sorted(shown) == sorted(original) and shown != original


def test_unilms_mixture_of_visibilities() -> None:
    rows = text_rows([20] * 3000)
    sight = Sight(("full", "full", "prefix", "prefix", "causal", "reverse"), prefix_ends="half")
    seen = pose(rows, Edit(FixedCount(), Mask()), answers=(InPlace(),), sight=sight).visibility
    kinds, counts = np.unique(np.array(seen.kind), return_counts=True)
    assert dict(zip(kinds.tolist(), (counts / 3000).round(2).tolist())) == pytest.approx(
        {"causal": 1 / 6, "full": 1 / 3, "prefix": 1 / 3, "reverse": 1 / 6}, abs=0.03
    )
    assert seen.prefix_lengths is not None and set(seen.prefix_lengths.tolist()) == {11}


def test_a_prefix_ends_where_it_is_said_to() -> None:
    rows = text_rows([10, 1, 0])
    segment = (np.arange(rows.num_pieces) >= 4).astype(np.uint8)
    rows = rows.with_planes(segment=segment)
    edit = Edit(Suffix(rate=0.3), Keep())
    for ends, expected in (("chosen", [8, 3, 2]), ("segment", [4, 0, 0]), ("half", [6, 1, 1])):
        result = pose(rows, edit, answers=(Next(),), sight=Sight(("prefix",), prefix_ends=ends))  # type: ignore[arg-type]
        assert result.visibility.prefix_lengths is not None
        assert result.visibility.prefix_lengths.tolist() == expected, ends


def test_documents_and_ranks_travel_to_the_visibility() -> None:
    rows = text_rows([30] * 4)
    rows = rows.with_planes(document=(rows.position_in_row > 12).astype(np.int32))
    sight = Sight(("permutation",), within_documents=True)
    seen = pose(rows, Edit(PermutationTail(), Keep()), answers=(InPlace(),), sight=sight).visibility
    assert seen.documents is not None and seen.documents.tolist() == rows.planes["document"].tolist()
    assert seen.rank is not None and (seen.rank > 0).sum() == 5 * 4
    moved = pose(rows, Edit(FixedCount(rate=0.5), Delete()), sight=Sight(within_documents=True))
    assert moved.visibility.documents is not None
    assert moved.visibility.documents.tolist() == rows.planes["document"][moved.origin].tolist()


def test_statistics() -> None:
    rows = text_rows([100] * 100, word_rate=0.5)
    found = statistics_of(pose(rows, Edit(FixedCount("word"), Mask()), answers=(InPlace(),)))
    assert found["rows"] == 100 and found["pieces"] == found["pieces_shown"] == 10_200
    assert 0.14 < found["chosen_share"] <= 0.15 and found["chosen_words_whole_share"] == 1.0
    assert found["actions"] == pytest.approx({"mask": 0.8, "random": 0.1, "kept": 0.1}, abs=0.04)
    assert sum(found["actions"].values()) == pytest.approx(1)
    lengths = {int(n): count for n, count in found["span_lengths"].items()}
    assert sum(n * count for n, count in lengths.items()) == round(found["chosen_share"] * 10_000)
    both = statistics_of(pose(rows, Edit(All(), PermuteSentences()), Edit(PoissonSpans(), OneMaskPerSpan())))
    assert both["edit_1_permute_sentences"]["actions"]["moved"] > 0.8
    infilled = both["edit_2_one_mask_per_span"]
    assert infilled["actions"] == {"removed": 1.0} and int(infilled["span_lengths"]["0"]) > 20
    assert statistics_of(pose(text_rows([]), Edit(FixedCount(), Mask()), answers=(InPlace(),)))["chosen_share"] == 0


def test_trivial_baselines() -> None:
    rows = Rows.of("a b c d")
    ids, places = np.array([1, 1, 1, 2]), np.arange(4)
    assert trivial_accuracy(AskedInPlace(places, ids, places), rows) == 0.75
    assert trivial_accuracy(RowLabels("next_sentence", np.array([0, 1, 1, -1]), 2), rows) == pytest.approx(2 / 3)
    assert trivial_accuracy(Pointers("true_start", np.array([0]), np.array([1]), np.ones(4, bool)), rows) == 0.25
    assert trivial_accuracy(WrittenText(rows), rows) == 0.25
    assert np.isnan(trivial_accuracy(AskedInPlace(places[:0], ids[:0], places[:0]), rows))
