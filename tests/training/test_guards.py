"""The spike rule at its edges (the doctest has the plain cases; test_trainer.py the policies)."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from afterbert.training.guards import is_spike


@settings(max_examples=30)
@given(st.lists(st.floats(0, 10), min_size=128, max_size=200), st.floats(0, 100))
def test_six_sigma_over_the_last_128(recent, loss):
    last = np.array(recent[-128:])
    limit = last.mean() + 6 * last.std()
    if abs(loss - limit) > 1e-6:
        assert is_spike(loss, recent) == (loss > limit)


def test_an_unmoving_loss_makes_any_rise_a_spike_but_not_itself():
    assert not is_spike(2.0, [2.0] * 128)
    assert is_spike(2.1, [2.0] * 128)
