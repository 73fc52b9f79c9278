"""Batches prepared ahead are those of the step and the size that is asked for."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from toy_run import toy_feed, toy_training

from afterbert.training import feed
from afterbert.training.distribution.processes import SingleProcess
from afterbert.training.feed import Prefetch


def keys(batches):
    return [batch.row_keys.tolist() for batch in batches]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_step_in_any_size(workers):
    source = toy_feed(toy_training())
    ahead = Prefetch(source, workers=workers, processes=SingleProcess())
    for step, size in [(0, 8), (1, 8), (2, 3), (3, 3), (1, 3), (2, 8)]:
        assert keys(ahead.batches(step, size)) == keys(source.step(step, micro_batch_size=size))
    ahead.close()
    ahead.close()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("feed")] == []


def test_steps_in_order_are_not_begun_anew(monkeypatch):
    begun, threads = [], ThreadPoolExecutor
    monkeypatch.setattr(feed, "ThreadPoolExecutor", lambda *given, **named: begun.append(1) or threads(*given, **named))
    ahead = Prefetch(toy_feed(toy_training()), workers=1, processes=SingleProcess())
    for step in (0, 1, 2, 7, 8, 9):
        ahead.batches(step, 8)
    ahead.close()
    assert len(begun) == 2
