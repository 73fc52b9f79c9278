"""The score without all logits against the plain one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from afterbert.nn import cross_entropy
from afterbert.nn.cross_entropy import linear_cross_entropy


def parts(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """hidden [7, 5], table [11, 5], bias [11], targets [7]."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((7, 5), (11, 5), (11,))
    hidden, table, bias = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    targets = torch.randint(0, 11, (7,), generator=generator)
    return hidden.requires_grad_(), table.requires_grad_(), bias.requires_grad_(), targets


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
@pytest.mark.parametrize("has_bias", [True, False])
def test_score_and_gradients_are_those_of_the_plain_path(
    rows: int, has_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "BLOCK", rows * 11)
    hidden, table, bias, targets = parts()
    wanted = (hidden, table, bias) if has_bias else (hidden, table)
    at_bias = bias if has_bias else None
    expected = F.cross_entropy(F.linear(hidden, table, at_bias), targets, reduction="sum")
    score = linear_cross_entropy(hidden, table, at_bias, targets)
    torch.testing.assert_close(score.double(), expected, rtol=1e-6, atol=0)
    for found, right in zip(torch.autograd.grad(0.25 * score, wanted), torch.autograd.grad(0.25 * expected, wanted)):
        torch.testing.assert_close(found, right, rtol=1e-7, atol=1e-9)


def test_a_hopeless_target_has_a_finite_score() -> None:
    hidden, table = torch.tensor([[1.0]]), torch.tensor([[400.0], [-400.0]])
    assert linear_cross_entropy(hidden, table, None, torch.tensor([1])).item() == pytest.approx(800.0)


def test_half_precision_stays_as_near_as_the_plain_path() -> None:
    hidden, table, bias, targets = parts(torch.float32)
    exact = F.cross_entropy(F.linear(hidden, table, bias), targets, reduction="sum")
    with torch.autocast("cpu", torch.bfloat16):
        score = linear_cross_entropy(hidden, table, bias, targets)
    torch.testing.assert_close(score, exact, rtol=2e-2, atol=0)
    found = torch.autograd.grad(score, (hidden, table, bias))
    for mine, right in zip(found, torch.autograd.grad(exact, (hidden, table, bias))):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, right, rtol=0, atol=2e-2 * float(right.abs().max()))


def test_no_rows_score_zero_with_zero_gradients() -> None:
    hidden, table, bias, targets = parts()
    score = linear_cross_entropy(hidden[:0], table, bias, targets[:0])
    assert score.item() == 0
    assert all(not found.any() for found in torch.autograd.grad(score, (hidden, table, bias)))


def test_it_is_back_propagated_once() -> None:
    hidden, table, bias, targets = parts()
    score = linear_cross_entropy(hidden, table, bias, targets)
    score.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="already"):
        score.backward()
