"""Batches prepared ahead are those of the step and the size that is asked for."""

import threading

import pytest
from toy_run import toy_feed, toy_training

from afterbert.training.distribution.processes import SingleProcess
from afterbert.training.feed import Prefetch


def keys(batches):
    return [batch.row_keys.tolist() for batch in batches]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_step_in_any_size(workers):
    feed = toy_feed(toy_training())
    ahead = Prefetch(feed, workers=workers, processes=SingleProcess())
    for step, size in [(0, 8), (1, 8), (2, 3), (3, 3), (1, 3), (2, 8)]:
        assert keys(ahead.batches(step, size)) == keys(feed.step(step, micro_batch_size=size))
    ahead.close()
    ahead.close()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("feed")] == []


def test_steps_in_order_are_not_begun_anew(monkeypatch):
    feed = toy_feed(toy_training())
    begun, steps = [], feed.steps
    monkeypatch.setattr(feed, "steps", lambda first, **given: begun.append(first) or steps(first, **given))
    ahead = Prefetch(feed, workers=1, processes=SingleProcess())
    for step in (0, 1, 2, 7, 8, 9):
        ahead.batches(step, 8)
    ahead.close()
    assert begun == [0, 7]
