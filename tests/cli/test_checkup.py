"""`doctor` on its own: what it finds, what it calls good, and what it exits with."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tomllib
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from afterbert.cli import checkup
from afterbert.cli.main import run


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_multiply_speed", lambda: "quick")


def found() -> dict[str, checkup.Finding]:
    return {finding.what: finding for finding in checkup.findings()}


def test_all_is_told_and_nothing_needed_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    said = capsys.readouterr().out
    assert torch.__version__ in said
    assert all(finding.what in said for finding in checkup.findings())


def test_the_precision_is_that_of_the_device_that_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFTERBERT_AUTO_PRECISION", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert "on this processor" in found()["precision"].found
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert found()["precision"].found == "bf16 on this accelerator: this GPU has bf16 units"


def test_what_is_short_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**9))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    seen = found()
    assert not seen["disk here"].is_good and seen["disk here"].found == "1.0 GB free"
    assert 'pip install "afterbert[data]"' in seen["extra data"].found
    assert not any(finding.is_needed for finding in seen.values() if not finding.is_good)


def test_every_extra_that_a_user_may_want_is_told() -> None:
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert {f"extra {name}" for name in extras} - {"extra dev", "extra docs"} == {
        what for what in found() if what.startswith("extra")
    }


def test_too_old_a_python_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10))
    assert not found()["afterbert"].is_good and found()["afterbert"].is_needed
