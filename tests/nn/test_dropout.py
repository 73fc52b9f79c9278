"""Dropout from plain random bits against its definition and PyTorch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from afterbert.nn.dropout import Dropout, dropout, dropped


@pytest.mark.parametrize("rate", [0.1, 0.5, 1 / 65536, 0.9])
def test_each_place_falls_at_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    size = 1 << 20
    fell = (dropped(torch.ones(size), rate) == 0).double()
    for lane in range(4):  # four elements read one random word
        found, draws = fell[lane::4].mean().item(), size / 4
        assert abs(found - rate) < 5 * math.sqrt(rate * (1 - rate) / draws) + 2**-17


def test_neighbours_fall_independently() -> None:
    torch.manual_seed(0)
    fell = (dropped(torch.ones(1 << 20), 0.3) == 0).double() - 0.3
    for apart in (1, 2, 3, 4, 8):
        together = (fell[:-apart] * fell[apart:]).mean().item()
        assert abs(together) < 5 * 0.3 * 0.7 / math.sqrt(1 << 20)


def test_what_stays_is_scaled_so_that_the_mean_stays() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(7, 5, 3).transpose(0, 2)
    found = dropped(hidden, 0.25)
    kept = found != 0
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(found[kept], hidden[kept] / 0.75)


def test_gradients_fall_where_values_fell() -> None:
    torch.manual_seed(0)
    hidden = torch.ones(33, 5, requires_grad=True)
    found = dropped(hidden, 0.4)
    (gradient,) = torch.autograd.grad(found.sum(), hidden)
    torch.testing.assert_close(gradient, found.detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_types_stay_and_seeds_decide(dtype: torch.dtype) -> None:
    hidden = torch.ones(1001, dtype=dtype)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(dropped(hidden, 0.1))
    assert drawn[0].dtype == dtype
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_the_ends_are_those_of_pytorch(rate: float) -> None:
    hidden = torch.randn(9)
    assert torch.equal(dropped(hidden, rate), F.dropout(hidden, rate))


def test_only_while_training() -> None:
    module, hidden = Dropout(0.5), torch.randn(100)
    assert torch.equal(module.eval()(hidden), hidden)
    assert not torch.equal(module.train()(hidden), hidden)
    assert dropped(torch.zeros(0, 4), 0.5).shape == (0, 4)
    assert isinstance(dropout(0.0), nn.Identity)
