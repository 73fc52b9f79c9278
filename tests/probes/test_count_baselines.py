"""Counting, against an oracle with dictionaries."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from afterbert.probes.count_baselines import ContextTable, CountBaselines


class Text:
    """A split with just pieces."""

    def __init__(self, pieces):
        self._pieces = np.asarray(pieces, dtype=np.int32)
        self.num_pieces = len(pieces)

    def pieces(self, index):
        return self._pieces[index]


@pytest.fixture(scope="module")
def text():
    return np.random.default_rng(0).zipf(1.5, 5000) % 20


def most_common(counter):
    return min(counter, key=lambda piece: (-counter[piece], piece))


def test_each_back_off_equals_the_oracle(text):
    baselines = CountBaselines.count(Text(text), 20)
    between, after, before = defaultdict(Counter), defaultdict(Counter), defaultdict(Counter)
    for left, middle, right in zip(text, text[1:], text[2:]):
        between[left, right][middle] += 1
    for left, right in pairwise(text):
        after[left][right] += 1
        before[right][left] += 1
    rng = np.random.default_rng(1)
    left, right = rng.integers(-1, 20, 400), rng.integers(-1, 20, 400)
    expected = [
        most_common(between[a, b])
        if (a, b) in between
        else most_common(after[a])
        if a in after
        else most_common(before[b])
        if b in before
        else most_common(Counter(text.tolist()))
        for a, b in zip(left.tolist(), right.tolist())
    ]
    assert baselines.guess(left, right).tolist() == expected
    assert {(a, b) in between for a, b in zip(left.tolist(), right.tolist())} == {True, False}


def test_an_empty_table_knows_nothing():
    table = ContextTable(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert table.look_up(np.array([1]), otherwise=np.array([7])).tolist() == [7]
