"""What is counted as training, what apart, and what over all processes of a run."""

import time

import pytest

from afterbert.training.clock import Clock


@pytest.fixture
def passes(monkeypatch):
    """A clock that only goes when it is told to."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def go(seconds):
        now[0] += seconds

    return go


def test_speed_is_that_of_training_alone(passes):
    clock = Clock()
    passes(50)
    clock.trains(tokens=1000)
    passes(2)
    with clock.apart() as evaluation:
        passes(7)
    with clock.saves():
        passes(3)
    passes(2)
    assert clock.speed(tokens=1400) == pytest.approx(100)
    passes(1)
    assert clock.speed(tokens=1500) == pytest.approx(100)
    assert evaluation.seconds == 7
    assert clock.last_save.seconds == 3


def test_seconds_since(passes):
    clock = Clock()
    passes(5)
    assert (clock.here, clock.total, clock.since_save) == (5, 5, 5)
    clock.resumed(seconds=60)
    with clock.saves():
        passes(4)
    passes(1)
    assert (clock.here, clock.total, clock.since_save) == (10, 70, 1)


def test_what_breaks_off_is_timed_too(passes):
    clock = Clock()
    clock.trains(tokens=0)
    with pytest.raises(KeyError), clock.apart() as lap:
        passes(6)
        raise KeyError
    passes(1)
    assert lap.seconds == 6
    assert clock.speed(tokens=10) == pytest.approx(10)
