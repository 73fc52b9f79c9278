"""Whether OpenMP's threads sleep while they wait."""

import os

import pytest

from afterbert.training import process_setup


@pytest.mark.parametrize(("last_minute", "now", "sleeps"), [(0.1, 1.0, False), (64.0, 0.1, False), (64.0, 1.0, True)])
def test_threads_sleep_where_others_were_busy_and_still_are(
    monkeypatch: pytest.MonkeyPatch, last_minute: float, now: float, sleeps: bool
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (last_minute, 0.0, 0.0))
    monkeypatch.setattr(process_setup, "share_in_use", lambda: now)
    process_setup.share_cores_politely()
    assert os.environ.pop("GOMP_SPINCOUNT", None) == ("0" if sleeps else None)


def test_the_share_in_use_is_of_all_core_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([[10, 0, 5, 100, 3, 0, 0, 0], [16, 1, 6, 109, 4, 0, 1, 1]])  # 20 more, 10 of them idle or waiting
    monkeypatch.setattr(process_setup, "_core_time", lambda: next(ticks))
    assert process_setup.share_in_use() == pytest.approx(0.5)
    monkeypatch.setattr(process_setup, "_core_time", list)
    assert process_setup.share_in_use() == 1.0
