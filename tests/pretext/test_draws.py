"""Random orders, subsets and lengths: every outcome equally likely, whatever else is in the batch."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from afterbert.pretext.draws import drawn, shuffled, subset
from afterbert.pretext.selections._spans import share
from invented_rows import noise

DRAWS = 24_000
KEYS = np.arange(DRAWS, dtype=np.uint64)


def worst_deviation(outcomes: list[tuple[int, ...]], possible: list[tuple[int, ...]]) -> float:
    """The largest z of any outcome's count against all being equally likely."""
    counts = dict.fromkeys(possible, 0)
    for outcome in outcomes:
        counts[outcome] += 1
    expected = len(outcomes) / len(possible)
    spread = np.sqrt(expected * (1 - 1 / len(possible)))
    return max(abs(count - expected) for count in counts.values()) / spread


@pytest.mark.parametrize("widest", [4, 5000])
def test_every_order_is_equally_likely(widest: int) -> None:
    sizes = np.full(DRAWS if widest == 4 else 2400, 4)
    sizes[-1] = widest
    order = shuffled(noise(), KEYS[: len(sizes)], sizes, first=4)
    outcomes = [tuple(line) for line in order[:-1, :4].tolist()]
    assert worst_deviation(outcomes, list(permutations(range(4)))) < 4.5


@pytest.mark.parametrize("size", [5000, 4097])
def test_long_rows_are_permuted_too(size: int) -> None:
    order = shuffled(noise(), KEYS[:3], np.array([size, 7, 4096]))
    assert sorted(order[0, :size].tolist()) == list(range(size))
    assert sorted(order[1, :7].tolist()) == list(range(7))
    assert sorted(order[2, :4096].tolist()) == list(range(4096))
    assert order[1, :7].tolist() == shuffled(noise(), KEYS[1:2], np.array([7]))[0].tolist()


def test_the_first_columns_are_the_same_ones() -> None:
    sizes = np.array([50, 3, 0, 20])
    whole = shuffled(noise(), KEYS[:4], sizes)
    few = shuffled(noise(), KEYS[:4], sizes, first=10)
    assert few.shape == (4, 10)
    for row, size in enumerate(sizes):
        assert few[row, : min(10, size)].tolist() == whole[row, : min(10, size)].tolist()


def test_every_subset_is_equally_likely() -> None:
    sizes, counts = np.full(DRAWS, 6), np.full(DRAWS, 3)
    found = subset(noise(), KEYS, sizes, counts, np.arange(DRAWS) * 6).reshape(-1, 3) % 6
    assert worst_deviation([tuple(line) for line in found.tolist()], list(combinations(range(6), 3))) < 4.5


def test_ragged_subsets_stay_in_their_rows() -> None:
    sizes, counts = np.array([0, 5, 1, 9, 3]), np.array([0, 5, 0, 4, 3])
    starts = np.array([0, 0, 5, 6, 15])
    found = subset(noise(), KEYS[:5], sizes, counts, starts)
    assert found[:5].tolist() == [0, 1, 2, 3, 4] and found[-3:].tolist() == [15, 16, 17]
    middle = found[5:-3]
    assert len(set(middle.tolist())) == 4 and middle.min() >= 6 and middle.max() < 15


def test_lengths_follow_their_weights() -> None:
    weights = np.array([0.5, 0.0, 0.2, 0.3])
    found = np.bincount(drawn(noise().words(KEYS, 10), weights).ravel(), minlength=4)
    expected = weights * DRAWS * 10
    assert (np.abs(found - expected) <= 4.5 * np.sqrt(expected)).all()
    assert drawn(np.array([2**32 - 1], dtype=np.uint32), (1e-12, 1.0, 0.0)).tolist() == [1]


def test_one_rounding_rule() -> None:
    sizes = np.arange(200)
    for rate in (0.01, 0.15, 0.5, 0.95, 1.0):
        expected = [min(n, max(1, round(rate * n))) if n else 0 for n in range(200)]
        assert share(rate, sizes).tolist() == expected
    assert share(0.15, np.array([20, 21, 1]), "up").tolist() == [3, 4, 1]
