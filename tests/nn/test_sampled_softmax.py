"""Cross-entropy from a sample of the pieces: right in the mean, and the whole where all are drawn."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from afterbert.nn.cross_entropy import linear_cross_entropy
from afterbert.nn.sampled_softmax import SampledPieces, Sampler

N, D, V = 7, 5, 40


@pytest.fixture
def asked() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states [N, D], table [V, D], bias [V], targets [N], of which two are one piece."""
    torch.manual_seed(0)
    hidden, table, bias = torch.randn(N, D), torch.randn(V, D), torch.randn(V)
    parts = [one.double().requires_grad_() for one in (hidden, table, bias)]
    return parts[0], parts[1], parts[2], torch.tensor([3, 3, 0, 17, 39, 8, 21])


def by_definition(sample: SampledPieces, hidden: Tensor, table: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Place by place: the target counts once, every other piece that is drawn 1 / its chance times."""
    total = hidden.new_zeros(())
    for state, target in zip(hidden, targets):
        logits = table @ state + bias
        weights = sample.is_drawn / sample.chances
        weights = torch.where(torch.arange(V) == target, 1.0, weights)
        total = total + (weights * logits.exp()).sum().log() - logits[target]
    return total


def test_score_and_gradients_are_those_of_the_definition(asked: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    *parts, targets = asked
    chances = torch.linspace(0.2, 1, V, dtype=torch.double)
    sample = SampledPieces(torch.rand(V, generator=torch.Generator().manual_seed(1)) < chances, chances)
    assert not sample.is_drawn[targets].all()  # some targets stand beside the sample
    found, wanted = sample.score(*parts, targets), by_definition(sample, *parts, targets)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)  # the sum is told in float32
    for mine, theirs in zip(torch.autograd.grad(found, parts), torch.autograd.grad(wanted, parts)):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


def test_a_sample_of_all_pieces_is_the_whole(asked: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    *parts, targets = asked
    everything = SampledPieces(torch.ones(V, dtype=torch.bool), torch.ones(V, dtype=torch.double))
    found, wanted = everything.score(*parts, targets), linear_cross_entropy(*parts, targets)
    assert found.item() == wanted.item()
    for mine, theirs in zip(torch.autograd.grad(found, parts), torch.autograd.grad(wanted, parts)):
        torch.testing.assert_close(mine, theirs)


def test_sums_of_the_softmax_are_right_in_the_mean(asked: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    hidden, table, bias, targets = (one.detach() for one in asked)
    sampler = Sampler(V, 12)
    sampler.learn(torch.arange(V) ** 2)
    draws = [sampler.draw(key) for key in range(3000)]
    at = slice(0, 1)
    sums = torch.tensor([one.score(hidden[at], table, bias, targets[at]).item() for one in draws if one]).exp()
    assert len(sums) == 3000
    whole = math.exp(F.cross_entropy(hidden[at] @ table.t() + bias, targets[at]).item())
    assert abs(sums.mean().item() - whole) < 4 * sums.std().item() / len(sums) ** 0.5
    assert sums.std() > 0.01 * whole  # else there was nothing to be right about


def test_frequent_pieces_are_always_drawn_and_none_never() -> None:
    sampler = Sampler(1000, 100)
    assert bool((sampler.chances == 0.1).all())  # before it knows anything
    counts = torch.full((1000,), 10)
    counts[:20], counts[-5:] = 1_000_000, 0
    sampler.learn(counts)
    assert bool((sampler.chances[:20] == 1).all()) and bool((sampler.chances > 0).all())
    assert sampler.chances.sum().item() == pytest.approx(100, abs=0.01)
    sizes = [int(one.is_drawn.sum()) for one in map(sampler.draw, range(200)) if one]
    assert sum(sizes) / 200 == pytest.approx(100, abs=3)


def test_a_key_names_a_sample() -> None:
    sampler = Sampler(300, 50)
    sampler.learn(torch.arange(300))
    first, again, other = (sampler.draw(key) for key in (5, 5, 6))
    assert first is not None and again is not None and other is not None
    assert torch.equal(first.is_drawn, again.is_drawn) and not torch.equal(first.is_drawn, other.is_drawn)
    assert Sampler(300, 300).draw(5) is None  # all pieces: no sample
