"""One short round of every group of broken inputs, always the same; `make fuzz` goes on for ten minutes."""

from collections import Counter

import pytest
from inputs import GROUPS

from fuzz import attack, made_base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return made_base(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
def test_broken_input_is_told_in_a_line(base, group):
    counts: Counter = Counter()
    attack(group, base, 1, 12, counts)
    assert sum(counts.values()) >= 12
