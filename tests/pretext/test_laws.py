"""The laws of choice against plain loops written from the papers, one piece after the other."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
from test_draws import worst_deviation

from afterbert.base.errors import UserError
from afterbert.base.rows import Rows
from afterbert.pretext.draws import drawn, shuffled
from afterbert.pretext.selections._queues import first_come, walk
from afterbert.pretext.selections._spans import share
from afterbert.pretext.selections.fixed_count import FixedCount
from afterbert.pretext.selections.fixed_spans import FixedSpans
from afterbert.pretext.selections.geometric_spans import GeometricSpans
from afterbert.pretext.selections.mixed_units import MixedUnits
from afterbert.pretext.selections.ngrams import Ngrams
from afterbert.pretext.selections.one_fragment import OneFragment
from afterbert.pretext.selections.permutation_tail import PermutationTail
from afterbert.pretext.selections.poisson_spans import PoissonSpans
from afterbert.pretext.selections.prefix import Prefix
from afterbert.pretext.selections.rare_first import RareFirst
from afterbert.pretext.selections.staged import Stage, Staged
from afterbert.pretext.selections.suffix import Suffix
from afterbert.pretext.selections.t5_partition import T5Partition
from afterbert.pretext.units import units_of
from invented_rows import by_row, noise, text_rows

MIXED = [1, 2, 3, 5, 8, 20, 40, 90]


def words_of(rows: Rows, row: int) -> list[list[int]]:
    """The words of a row as lists of places in the row, by a plain loop."""
    low, high = int(rows.row_starts[row]), int(rows.row_starts[row + 1])
    words: list[list[int]] = []
    for at in range(low, high):
        if rows.planes["special"][at]:
            continue
        if rows.planes["word_start"][at] or not words or rows.planes["special"][at - 1]:
            words.append([])
        words[-1].append(at - low)
    return words


def test_words_as_a_loop_finds_them() -> None:
    rows = text_rows(MIXED)
    units = units_of(rows, "word")
    found = by_row(rows, units.starts, units.lengths)
    assert found == [[(w[0], len(w)) for w in words_of(rows, row)] for row in range(len(rows))]


def test_a_word_cut_by_the_row_or_a_special_piece_is_a_unit() -> None:
    rows = Rows.of("[CLS] ##able a ##b [SEP] [SEP] ##c d", "##e ##f [SEP]", "[CLS] [SEP]", "g ##h")
    units = units_of(rows, "word")
    assert units.starts.tolist() == [1, 2, 6, 7, 8, 13] and units.lengths.tolist() == [1, 2, 1, 1, 2, 2]
    assert units.row_starts.tolist() == [0, 4, 5, 5, 6]
    layered = units_of(
        rows.with_planes(none_start=rows.planes["special"], none_inside=rows.planes["special"]), "none|word"
    )
    assert layered.starts.tolist() == units.starts.tolist() and layered.lengths.tolist() == units.lengths.tolist()


def test_walk_skips_what_no_longer_fits() -> None:
    random = np.random.default_rng(0)
    lengths, budgets = random.integers(0, 6, (400, 25)), random.integers(0, 40, 400)
    for line, budget, taken in zip(lengths, budgets, walk(lengths, budgets)):
        expected, left = [], int(budget)
        for length in line:
            expected.append(0 < length <= left)
            left -= int(length) if expected[-1] else 0
        assert taken.tolist() == expected


@pytest.mark.parametrize("by_anchor", [True, False])
def test_first_come_first_served(by_anchor: bool) -> None:
    random = np.random.default_rng(1)
    for _ in range(60):
        size = int(random.integers(1, 40))
        starts = random.integers(0, size, 30)
        lengths = np.minimum(random.integers(1, 9, 30), size - starts)
        taken, covered = first_come(starts, lengths, starts if by_anchor else None, size)
        cover = [30] * size
        for number, (start, length) in enumerate(zip(starts, lengths)):
            run = range(start, start + length)
            if all(cover[at] == 30 for at in (run[:1] if by_anchor else run)):
                assert taken[number]
                for at in run:
                    cover[at] = min(cover[at], number)
            else:
                assert not taken[number]
        assert covered.tolist() == cover


@pytest.mark.parametrize("rate", [0.15, 0.5, 0.95])
def test_whole_words_as_in_bert(rate: float) -> None:
    """Shuffle the words, take whole ones until the budget, skip one that would overshoot."""
    rows = text_rows(MIXED * 3, word_rate=0.5)
    chosen = FixedCount(unit="word", rate=rate)(rows, noise())
    found = by_row(rows, chosen.positions)
    for row in range(len(rows)):
        words = words_of(rows, row)
        budget = max(1, round(rate * sum(map(len, words))))
        order = shuffled(noise(), rows.keys[row : row + 1], np.array([len(words)]))[0]
        taken: list[int] = []
        for number in order:
            if len(taken) + len(words[number]) <= budget:
                taken += words[number]
        assert [at for (at,) in found[row]] == sorted(taken)


@pytest.mark.parametrize("law", [GeometricSpans(), GeometricSpans(rate=0.6), GeometricSpans(rate=0.9, start="unit")])
def test_geometric_spans_as_in_spanbert(law: GeometricSpans) -> None:
    """Anchors that are already masked are skipped, the others widened to their word, words added to the
    right, the last span cut where the budget ends.
    """
    rows = text_rows(MIXED * 3, word_rate=0.5)
    weights = 0.2 * 0.8 ** np.arange(10)
    found = by_row(rows, law(rows, noise()).positions)
    for row in range(len(rows)):
        words, key = words_of(rows, row), rows.keys[row : row + 1]
        size = sum(map(len, words))
        budget = max(1, round(law.rate * size))
        anchors = shuffled(noise(), key, np.array([size if law.start == "piece" else len(words)]))[0]
        lengths = 1 + drawn(noise().of("lengths").words(key, len(anchors)), weights)[0]
        masked: list[int] = []
        for anchor, length in zip(anchors, lengths):
            starts = [anchor] if law.start == "unit" else [n for n, w in enumerate(words) if anchor + 1 in w]
            first = int(starts[0])
            if words[first][0] in masked:
                continue
            for word in words[first : first + length]:
                for at in word:
                    if len(masked) < budget and at not in masked:
                        masked.append(at)
        assert [at for (at,) in found[row]] == sorted(masked)
        assert len(masked) == budget


def test_geometric_lengths_are_renormalised_not_clipped() -> None:
    rows = text_rows([400] * 300, word_rate=1.0)
    chosen = GeometricSpans(rate=0.01, touching="keep")(rows, noise())  # four pieces: spans are seldom cut
    chosen_long = GeometricSpans(rate=0.2, touching="keep")(rows, noise())
    assert np.bincount(chosen.spans).max() <= 4
    lengths = np.bincount(chosen_long.spans)
    law = 0.2 * 0.8 ** np.arange(10) / (1 - 0.8**10)
    assert (np.arange(1, 11) * law).sum() == pytest.approx(3.797, abs=5e-4)
    assert lengths.max() == 10 and np.mean(lengths == 10) < 1.3 * law[-1], "the tail is not piled on 10"


def test_spanberts_budget_is_rounded_up() -> None:
    rows = text_rows([10, 21])
    counts = [len(row) for row in by_row(rows, GeometricSpans(rounding="up")(rows, noise()).positions)]
    assert counts == [2, 4]
    counts = [len(row) for row in by_row(rows, GeometricSpans()(rows, noise()).positions)]
    assert counts == [2, 3]


@pytest.mark.parametrize(
    "law", [Ngrams(), Ngrams(rate=0.6), Ngrams(rate=0.9, weights=(0, 0, 1)), Ngrams(weights=(8, 1, 1))]
)
def test_ngrams_as_in_albert(law: Ngrams) -> None:
    """Words in random order start n-grams; one that meets a chosen word is skipped; the first that overshoots
    is shortened, then single words fill up.
    """
    rows = text_rows(MIXED * 3, word_rate=0.6)
    found = by_row(rows, law(rows, noise()).positions)
    for row in range(len(rows)):
        words, key = words_of(rows, row), rows.keys[row : row + 1]
        left = max(1, round(law.rate * sum(map(len, words))))
        order = shuffled(noise(), key, np.array([len(words)]))[0]
        lengths = 1 + drawn(noise().of("lengths").words(key, len(words)), law.weights)[0]
        taken: set[int] = set()
        for first, n in zip(order, lengths):
            run = range(first, min(first + n, len(words)))
            if taken & set(run):
                continue
            over = sum(len(words[number]) for number in run) > left
            for number in run:
                if len(words[number]) > left:
                    break
                taken.add(number)
                left -= len(words[number])
            if over:
                break
        for number in shuffled(noise().of("rest"), key, np.array([len(words)]))[0]:
            if number not in taken and len(words[number]) <= left:
                taken.add(int(number))
                left -= len(words[number])
        assert [at for (at,) in found[row]] == sorted(at for number in taken for at in words[number])


def test_ngram_lengths() -> None:
    rows = text_rows([3000] * 60, word_rate=1.0)
    chosen = Ngrams(rate=0.05)(rows, noise())  # sparse, so that few are shortened or turned away
    counts = np.bincount(np.bincount(chosen.spans), minlength=4)[1:]
    shares = counts / counts.sum()
    assert shares == pytest.approx([6 / 11, 3 / 11, 2 / 11], abs=0.03)


def partitions(size: int, parts: int) -> list[list[int]]:
    """All ways to cut range(size) into so many parts, none empty: their lengths."""
    return [
        [end - begin for begin, end in zip((0, *cuts), (*cuts, size))]
        for cuts in combinations(range(1, size), parts - 1)
    ]


@pytest.mark.parametrize("roll", [False, True])
def test_t5_partition_as_in_t5(roll: bool) -> None:
    """All masks that `random_spans_noise_mask` can give, each equally often: 3 noise pieces in 2 spans, 7
    others in 2.
    """
    possible = []
    for noise_lengths in partitions(3, 2):
        for other_lengths in partitions(7, 2):
            mask = [
                part % 2 for part, n in enumerate(np.ravel(list(zip(other_lengths, noise_lengths)))) for _ in range(n)
            ]
            turns = range(10) if roll else [0]
            possible += [tuple(np.flatnonzero(np.roll(mask, turn)).tolist()) for turn in turns]
    rows = text_rows([10] * 24_000)
    chosen = T5Partition(rate=0.3, mean_span=1.5, roll=roll)(rows, noise())
    found = [tuple(at - 1 for (at,) in row) for row in by_row(rows, chosen.positions)]
    distinct = sorted(set(possible))
    weights = {outcome: possible.count(outcome) / len(possible) for outcome in distinct}
    assert len(found) == 24_000 and set(found) == set(distinct)
    for outcome, weight in weights.items():
        expected = weight * len(found)
        assert abs(found.count(outcome) - expected) < 4.5 * np.sqrt(expected)


def test_t5_lengths() -> None:
    law = T5Partition(roll=False)
    assert (law.budget(np.array([568]))[0], law.num_spans(np.array([568]))[0]) == (85, 28)
    naive = 512
    while (naive + 1) - round(0.15 * (naive + 1)) + max(1, round(round(0.15 * (naive + 1)) / 3)) + 1 <= 512:
        naive += 1
    assert naive == 568
    means = {mean: T5Partition(mean_span=mean, roll=False) for mean in (2, 3, 5, 10)}
    rows = text_rows([500] * 20)
    for mean, arm in means.items():
        chosen = arm(rows, noise())
        assert len(chosen.positions) == 20 * 75
        assert len(chosen.positions) / len(chosen.begins) == pytest.approx(
            mean, rel=0.07
        )  # the number of spans is rounded


def test_strewn_spans_fall_anywhere() -> None:
    """Spans of 2 and 1 among 2 pieces left over: 4 things in a line, so 12 arrangements, each equally likely."""
    possible = []
    for order in set(permutations(["two", "one", "a", "b"])):
        if order.index("a") > order.index("b"):
            continue
        spans, at = [], 1
        for thing in order:
            if thing in ("two", "one"):
                spans.append((at, 2 if thing == "two" else 1))
            at += 2 if thing == "two" else 1
        possible.append(tuple(np.ravel(spans).tolist()))
    rows = text_rows([5] * 12_000)
    chosen = FixedSpans(rate=0.6, length=2, unit="piece")(rows, noise())
    begins = chosen.positions[chosen.begins]
    found = [tuple(np.ravel(row).tolist()) for row in by_row(rows, begins, np.bincount(chosen.spans))]
    assert len(set(possible)) == 12
    assert worst_deviation(found, possible) < 4.5


def test_poisson_spans_as_in_bart() -> None:
    """Lengths are drawn until the budget is met, zeros included, the last one cut."""
    rows = text_rows([300] * 400)
    chosen = PoissonSpans(rate=0.3, mean=3.0)(rows, noise())
    random = np.random.default_rng(0)
    counts = np.zeros(20)
    for _ in range(4000):
        left = 90
        while left > 0:
            length = min(left, random.poisson(3.0))
            counts[length] += 1
            left -= length
    shares = counts / 4000
    found = np.bincount(np.bincount(chosen.spans), minlength=20).astype(float)
    found[0] = len(chosen.gaps)
    assert found / 400 == pytest.approx(shares, abs=4.5 * np.sqrt(shares.max() / 400))
    assert found[0] / found.sum() == pytest.approx(np.exp(-3), abs=0.006)


def test_poisson_gaps_lie_anywhere_in_the_text() -> None:
    rows = text_rows([20] * 6000)
    chosen = PoissonSpans(rate=0.3, mean=1.0)(rows, noise())
    places = np.bincount(rows.position_in_row[chosen.gaps], minlength=22)
    assert places[0] == 0 and places[1:].min() > 0.5 * places[1:].max(), "from before the first piece to before [SEP]"
    bare = text_rows([20] * 2000, ends=False)
    places = np.bincount(bare.position_in_row[PoissonSpans(mean=1.0)(bare, noise()).gaps], minlength=20)
    assert places.min() > 0


def test_one_fragment_starts_anywhere() -> None:
    rows = text_rows([7] * 4000)
    chosen = OneFragment()(rows, noise())
    starts = [row[0] for row in by_row(rows, chosen.positions)]
    assert len(chosen.begins) == 4000
    assert worst_deviation(starts, [(at,) for at in range(1, 5)]) < 4.5


@pytest.mark.parametrize("law", [Prefix(), Suffix()], ids=str)
def test_splits_fall_anywhere(law: Prefix | Suffix) -> None:
    rows = text_rows([6] * 4000 + [1, 0])
    sizes = [(len(row),) for row in by_row(rows, law(rows, noise()).positions)]
    assert sizes[-2:] == [(0,), (0,)], "nothing to split"
    assert worst_deviation(sizes[:-2], [(n,) for n in range(1, 6)]) < 4.5
    side = {len(row): row for row in by_row(rows, law(rows, noise()).positions)}
    assert side[2] == ([(1,), (2,)] if isinstance(law, Prefix) else [(5,), (6,)])


def test_permutation_tail_as_in_xlnet() -> None:
    """K = 6: 85 of 512; spans of 1 to 5 with weight 1/L; context pieces see no target; targets in any order."""
    rows = text_rows([512] * 200)
    chosen = PermutationTail()(rows, noise())
    assert chosen.rank is not None
    assert {len(row) for row in by_row(rows, chosen.positions)} == {85}
    lengths = np.bincount(np.bincount(chosen.spans), minlength=11)[1:6]
    drawn_shares = np.array([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert lengths / lengths.sum() == pytest.approx(drawn_shares / drawn_shares.sum(), abs=0.03)
    is_target = np.zeros(rows.num_pieces, dtype=bool)
    is_target[chosen.positions] = True
    assert (chosen.rank[~is_target] == 0).all()
    for row in by_row(rows, chosen.positions, chosen.rank[chosen.positions]):
        assert sorted(rank for _, rank in row) == list(range(1, 86))


@pytest.mark.parametrize("unit", ["piece", "word"])
@pytest.mark.parametrize("leads", [True, False])
def test_a_reused_part_has_an_order_of_its_own_before_the_rest(unit: str, leads: bool) -> None:
    rows = text_rows([510] * 60 + [7, 1, 0])
    place = rows.position_in_row if leads else rows.lengths[rows.row_of] - 1 - rows.position_in_row
    rows = rows.with_planes(reused=place < 256)
    chosen = PermutationTail(unit=unit)(rows, noise())
    assert chosen.rank is not None
    is_reused = rows.planes["reused"]
    for row in range(len(rows)):
        here = rows.row_of == row
        asked = np.isin(np.flatnonzero(here), chosen.positions)
        rank, part = chosen.rank[here], is_reused[here]
        assert rank[~part].min(initial=999) > rank[part].max(initial=0), "it sees nothing of the rest"
        assert np.unique(rank[part & ~asked]).tolist() in ([0], [])
        assert len(set(rank[~part & ~asked])) <= 1, "the rest sees all that is not asked"
    if unit == "piece":
        halves = [len(row) for row in by_row(rows, chosen.positions[is_reused[chosen.positions]])][:60]
        assert set(halves) == {42} and {len(row) for row in by_row(rows, chosen.positions)[:60]} == {85}


def test_every_factorization_order_is_equally_likely() -> None:
    rows = text_rows([4] * 12_000)
    chosen = PermutationTail(context=1.34, weights=(1,))(rows, noise())
    assert chosen.rank is not None
    orders = [tuple(r for _, r in row) for row in by_row(rows, chosen.positions, chosen.rank[chosen.positions])]
    assert worst_deviation(orders, list(permutations((1, 2, 3)))) < 4.5


def test_spans_lie_in_contexts_of_their_size() -> None:
    rows = text_rows([100] * 300)
    chosen = PermutationTail(context=10, weights=(0, 0, 0, 0, 1))(
        rows, noise()
    )  # two contexts of 50, a span of 5 in each
    for row in by_row(rows, chosen.positions[chosen.begins]):
        (first,), (second,) = row
        assert 1 <= first <= 46 and 51 <= second <= 96


def test_rare_pieces_are_drawn_as_a_draw_without_replacement_says() -> None:
    """Two of four pieces, weights 1/sqrt(count): the shares of all pairs, written out."""
    counts = np.array([1, 4, 16, 64])
    weights = counts**-0.5 / (counts**-0.5).sum()
    expected = {
        pair: sum(weights[a] * weights[b] / (1 - weights[a]) for a, b in permutations(pair))
        for pair in combinations(range(4), 2)
    }
    draws = 20_000
    rows = text_rows([4] * draws)
    rows = rows.with_planes(count=np.tile(np.array([0, *counts, 0]), draws))
    found = Counter(
        tuple(place - 1 for (place,) in row) for row in by_row(rows, RareFirst(rate=0.5)(rows, noise()).positions)
    )
    for pair, chance in expected.items():
        assert abs(found[pair] - draws * chance) < 4.5 * np.sqrt(draws * chance * (1 - chance)), pair


def test_half_entities_half_words() -> None:
    rows = text_rows([600] * 60)
    chosen = MixedUnits(rate=0.05)(rows, noise())
    first = chosen.positions[chosen.begins]
    is_entity = np.isin(first, units_of(rows, "entity").starts)
    lengths = np.bincount(chosen.spans)
    entities = units_of(rows, "entity")
    words = units_of(rows, "word")
    chance = np.isin(words.starts, entities.starts).mean()  # a word drawn may be an entity's first
    assert is_entity.mean() == pytest.approx(0.5 + 0.5 * chance, abs=0.06)
    whole = dict(zip(entities.starts.tolist(), entities.lengths.tolist()))
    drawn_whole = [lengths[n] >= whole[at] for n, at in enumerate(first.tolist()) if at in whole]
    assert np.mean(drawn_whole) > 0.75


def test_stages_follow_the_run() -> None:
    law = Staged(
        (
            Stage(FixedCount("piece"), share=1),
            Stage(FixedCount("word"), share=2),
            Stage(FixedCount("sentence"), share=1),
        )
    )
    rows = text_rows([60] * 8)
    for progress, unit in ((0, "piece"), (0.25, "word"), (0.74, "word"), (0.75, "sentence"), (1, "sentence")):
        for view in (0, 3):
            moment = noise(view=view).at(progress)
            expected = FixedCount(unit)(rows, noise(view=view))
            assert law(rows, moment).positions.tolist() == expected.positions.tolist()


def test_units_that_cover_a_part() -> None:
    rows = text_rows([80] * 5)
    phrases = units_of(rows, "phrase")
    starts, inside = rows.planes["phrase_start"], rows.planes["phrase_inside"]
    assert phrases.lengths.sum() == (starts | inside).sum()
    both = units_of(rows, "phrase|word")
    assert both.lengths.sum() == 400 and np.isin(phrases.starts, both.starts).all()
    chosen = FixedCount("entity", rate=0.9)(rows, noise())
    entity = rows.planes["entity_start"] | rows.planes["entity_inside"]
    assert entity[chosen.positions].all() and len(chosen.positions) == entity.sum(), "all there are, fewer than asked"


def test_a_missing_plane_is_a_users_error() -> None:
    rows = Rows.of("[CLS] a b [SEP]")
    with pytest.raises(UserError, match=r"needs the plane 'entity_start'.*--add-plane entity"):
        FixedCount("entity")(rows, noise())


def test_settings_that_draw_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="draw no n-gram"):
        Ngrams(weights=())
    with pytest.raises(UserError, match="draw no span"):
        PermutationTail(weights=(1, 0))
    with pytest.raises(UserError, match="do not match"):
        MixedUnits(shares=(1.0,))
    with pytest.raises(UserError, match="end with word"):
        MixedUnits(units=("word", "entity"))(text_rows([80]), noise())
    with pytest.raises(UserError, match="no stage"):
        Staged(())


def test_shares_of_the_budget_are_pieces_whatever_the_unit() -> None:
    rows = text_rows([200] * 10, word_rate=0.4)
    for unit in ("piece", "word"):
        counts = [len(row) for row in by_row(rows, FixedCount(unit)(rows, noise()).positions)]
        assert set(counts) <= {29, 30} and share(0.15, np.array([200]))[0] == 30
