"""Toys are so small that a second thread only costs, and so does waiting for the disk at each of their checkpoints."""

import os

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_wait_for_the_disk(request, monkeypatch):
    if "fault" not in request.keywords and "syncs" not in request.fixturenames:
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
