"""Stages of a run: every step in one of them, every one with a step, whatever the numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterbert.base.errors import UserError
from afterbert.base.stages import Stages, moments

SHARES = st.lists(st.floats(0.05, 20), min_size=1, max_size=6)


@given(SHARES, st.integers(1, 3000))
def test_the_steps_are_divided_among_all_or_the_run_is_refused(shares, total):
    stages = Stages("it", tuple("abcdef"[: len(shares)]), tuple(shares))
    try:
        first = stages.first_steps(total)
    except UserError:
        enough = math.ceil(sum(shares) / min(shares))
        assert total < enough
        assert stages.first_steps(enough + 1)[-1] <= enough
        return
    found = [stages.at(step / total) for step in range(total)]
    assert found == sorted(found)
    assert sorted(set(found)) == list(range(len(shares)))
    assert [found.index(number) for number in range(len(shares))] == first


def test_thirds_are_thirds():
    stages = Stages("it", ("a", "b", "c"), (1.0, 1.0, 1.0))
    assert stages.first_steps(3) == [0, 1, 2]
    assert stages.first_steps(300_000) == [0, 100_000, 200_000]
    with pytest.raises(UserError, match=r"it has 3 stages \(a, b, c\), of which one would not come in a run of 2"):
        stages.first_steps(2)


def test_moments_of_several():
    halves, thirds = Stages("x", ("a", "b"), (1, 1)), Stages("y", ("a", "b", "c"), (1, 1, 1))
    assert moments([halves, thirds]) == (0.0, 1 / 3, 0.5, 2 / 3)
    assert moments([]) == (0.0,)
