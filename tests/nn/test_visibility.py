"""The rule reaches the kernel as it was stated: checked against the statement itself, and by gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from afterbert.base.rows import Rows
from afterbert.base.visibility import Visibility
from afterbert.base.vocabulary import Vocabulary
from afterbert.models.encoder import Encoder
from afterbert.nn.attention import attend, fused
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import Windows
from afterbert.nn.visibility import PaddedVisibility, padded_visibility, visible

ROWS = Rows.of("a b c d e f", "a b c", "a", "a b c d e")
LENGTH = 7
DOCUMENTS = np.array([0, 0, 1, 1, 0, 2, 3, 3, 4, 5, 6, 6, 6, 7, 7])
RANK = np.array([3, 1, 0, 2, 5, 4, 0, 0, 1, 0, 4, 3, 2, 1, 0])
PREFIX = np.array([3, 0, 1, 5])
RULES = {
    "full": Visibility(),
    "causal": Visibility("causal"),
    "reverse": Visibility("reverse"),
    "prefix": Visibility("prefix", prefix_lengths=PREFIX),
    "permutation": Visibility("permutation", rank=RANK),
    "documents": Visibility(documents=DOCUMENTS),
    "causal documents": Visibility("causal", documents=DOCUMENTS),
    "mixture": Visibility(("reverse", "causal", "full", "prefix"), prefix_lengths=PREFIX),
}


def stated(rule: Visibility, row: int, i: int, j: int) -> bool:
    """The docstring of Visibility, word for word."""
    start = int(ROWS.row_starts[row])
    kind = rule.kind if isinstance(rule.kind, str) else rule.kind[row]
    allowed = {
        "full": lambda: True,
        "causal": lambda: j <= i,
        "reverse": lambda: j >= i,
        "prefix": lambda: j < rule.prefix_lengths[row] or j <= i,
        "permutation": lambda: rule.rank[start + j] <= rule.rank[start + i],
    }[kind]()
    return allowed and (rule.documents is None or rule.documents[start + i] == rule.documents[start + j])


def on_device(rule: Visibility) -> PaddedVisibility | None:
    arrays = padded_visibility(rule, ROWS, length=LENGTH)
    return PaddedVisibility.of({name: torch.from_numpy(array) for name, array in arrays.items()})


@pytest.mark.parametrize("name", RULES)
def test_booleans_are_what_is_stated(name: str) -> None:
    rule = RULES[name]
    seen = visible(on_device(rule), LENGTH, torch.device("cpu")).as_booleans()
    assert seen is not None
    seen = seen.expand(len(ROWS), 1, LENGTH, LENGTH)[:, 0]
    for row, length in enumerate(ROWS.lengths):
        expected = [[stated(rule, row, i, j) for j in range(length)] for i in range(length)]
        assert seen[row, :length, :length].tolist() == expected
        assert not seen[row, :length, length:].any(), "padding is never visible"
        if not visible(on_device(rule), LENGTH, torch.device("cpu")).is_causal:
            assert (seen[row, length:] == seen[row, length - 1]).all(), "padding looks like the last piece"


def test_nothing_is_made_where_all_see_all() -> None:
    rows = Rows.of("a b", "b a")
    assert padded_visibility(Visibility(), rows, length=2) == {}
    assert PaddedVisibility.of({"input_ids": torch.zeros(1)}) is None
    kernel = visible(None, 2, torch.device("cpu"))
    assert kernel.may_attend is None and not kernel.is_causal and kernel.as_added(torch.float32) is None


def test_left_to_right_needs_no_square_even_with_padding() -> None:
    kernel = visible(on_device(RULES["causal"]), LENGTH, torch.device("cpu"))
    assert kernel.is_causal and kernel.may_attend is None


def test_strict_ranks_hide_the_piece_itself() -> None:
    seen = visible(on_device(RULES["permutation"]), LENGTH, torch.device("cpu"), strictly=True).as_booleans()
    assert seen is not None and not seen.diagonal(dim1=-2, dim2=-1).any()


@pytest.mark.parametrize("name", RULES)
def test_no_gradient_flows_where_attention_is_not_allowed(name: str) -> None:
    rule, torch_rule = RULES[name], on_device(RULES[name])
    # one layer: with two, a piece sees through its neighbours, under every rule that is no equivalence
    model = Encoder(hidden_size=16, num_hidden_layers=1, intermediate_size=8).build(Vocabulary(size=9)).eval()
    vectors = torch.randn(len(ROWS), LENGTH, 16, requires_grad=True)
    hidden = model.stack(vectors, torch_rule, torch.arange(LENGTH)[None])
    for row, length in enumerate(ROWS.lengths):
        for i in range(length):
            (gradient,) = torch.autograd.grad(hidden[row, i].square().sum(), vectors, retain_graph=True)
            felt = gradient.abs().sum(-1) > 0
            expected = [j == i or stated(rule, row, i, j) for j in range(length)]
            assert felt[row, :length].tolist() == expected
            assert not felt[row, length:].any() and not felt[:row].any() and not felt[row + 1 :].any()


def test_windows_look_near_and_full_layers_far() -> None:
    windows = Windows(local_attention=4, layer_types=("sliding_attention",), positions=Rotary())
    config = Encoder(hidden_size=16, num_hidden_layers=1, intermediate_size=8, norm=LayerNorm(eps=1e-5))
    stack = replace(config.stack, residual=PreNorm(), windows=windows)
    for reach, wanted in ((2, replace(config, stack=stack)), (6, config)):
        vectors = torch.randn(1, LENGTH, 16, requires_grad=True)
        hidden = wanted.build(Vocabulary(size=9)).eval().stack(vectors, None, torch.arange(LENGTH)[None])
        (gradient,) = torch.autograd.grad(hidden[0, 0].square().sum(), vectors)
        assert (gradient[0].abs().sum(-1) > 0).tolist() == [j <= reach for j in range(LENGTH)]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("strictly", [False, True])
def test_cpu_products_equal_the_fused_kernel(name: str, has_bias: bool, strictly: bool) -> None:
    query, key, value = torch.randn(3, len(ROWS), 2, LENGTH, 8)
    bias = torch.randn(1, 2, LENGTH, LENGTH) if has_bias else None
    kernel = visible(on_device(RULES[name]), LENGTH, torch.device("cpu"), strictly=strictly)
    with_products = attend(query, key, value, visible=kernel, bias=bias)
    with_kernel = fused(query, key, value, kernel, bias, 0.0)
    sighted = kernel.sighted()
    with_kernel = with_kernel if sighted is None else with_kernel * sighted
    torch.testing.assert_close(with_products, with_kernel, atol=1e-6, rtol=1e-5)


def test_no_kernel_is_given_a_row_of_nothing_but_the_lowest_number() -> None:
    """Kernels that multiply by log2(e) first make an infinity of it, and a NaN of the row."""
    for strictly in (False, True):
        kernel = visible(on_device(RULES["permutation"]), LENGTH, torch.device("cpu"), strictly=strictly)
        added, may_attend = kernel.as_added(torch.bfloat16), kernel.as_booleans()
        assert added is not None and may_attend is not None
        assert (added == 0).any(-1).all()
        sees = may_attend.any(-1)
        assert bool(sees.all()) != strictly
        assert ((added == 0) == may_attend)[sees].all()


def test_a_query_without_anything_to_see_gets_nothing() -> None:
    query, key, value = torch.randn(3, len(ROWS), 2, LENGTH, 8)
    kernel = visible(on_device(RULES["permutation"]), LENGTH, torch.device("cpu"), strictly=True)
    mixed = attend(query, key, value, visible=kernel)
    first = int(RANK[:6].argmin())
    assert not mixed[0, :, first].any() and mixed[0, :, (first + 1) % 6].any()
