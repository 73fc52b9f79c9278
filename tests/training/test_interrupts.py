"""Signals ask first and end second."""

import os
import signal
import threading

import pytest

from afterbert.training import interrupts
from afterbert.training.interrupts import Interrupted, Interrupts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_only_asks(number):
    before = signal.getsignal(number)
    with Interrupts() as caught:
        assert caught.signum is None
        signal.raise_signal(number)
        assert caught.signum == number
    assert signal.getsignal(number) is before


def test_the_second_signal_ends_at_once(monkeypatch):
    codes, now = [], [0.0]
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: now[0])
    with Interrupts():
        signal.raise_signal(signal.SIGTERM)
        now[0] = 0.1  # a launcher that passes on what the terminal sent already
        signal.raise_signal(signal.SIGINT)
        assert codes == []
        now[0] = 1.0
        signal.raise_signal(signal.SIGINT)
        assert codes == [130]


def test_the_same_signal_twice_is_two_wishes_however_close(monkeypatch):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(interrupts.time, "monotonic", lambda: 0.0)
    with Interrupts():
        signal.raise_signal(signal.SIGINT)
        assert codes == []
        signal.raise_signal(signal.SIGINT)
        assert codes == [130]


def test_breaking_work_is_broken_off():
    with Interrupts() as caught:
        with caught.breaking():
            pass
        with pytest.raises(Interrupted), caught.breaking():
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("went on")
        with pytest.raises(Interrupted), caught.breaking():
            pytest.fail("began although the signal was there before")


def test_nobody_catches_it_by_accident():
    with Interrupts() as caught, pytest.raises(Interrupted), caught.breaking():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:
            pytest.fail("caught")


def test_other_threads_have_no_handlers():
    seen = []

    def body():
        with Interrupts() as caught:
            seen.append(caught.signum)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [None]
