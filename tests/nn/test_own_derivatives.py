"""Derivatives that are written by hand are those that torch finds by itself."""

import torch
from torch import Tensor
from torch.nn import functional as F

from afterbert.nn.attention import Attention
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.sizes import Sizes


def test_gradients_of_a_gated_unit() -> None:
    unit = Gated().build(6, 5)
    hidden, asked = torch.randn(2, 3, 6), torch.randn(2, 3, 6)
    own = gradients(unit(mine := leaf(hidden)), asked, mine, *unit.parameters())

    activated, gate = F.linear(theirs := leaf(hidden), unit.input.weight).chunk(2, dim=-1)
    plain = F.linear(F.gelu(activated) * gate, unit.output.weight)
    torch.testing.assert_close(own, gradients(plain, asked, theirs, *unit.parameters()))
    with torch.no_grad():  # the other way to compute it
        torch.testing.assert_close(unit(hidden), plain)


def test_gradients_of_rotary_positions() -> None:
    rotary, sizes = Rotary(), Sizes(16, 1, 2, 8, 5)
    shared = rotary.build_shared(sizes, 8, is_causal=False)(torch.arange(5)[None], torch.arange(5)[None])
    layer = rotary.build_layer(sizes, 8, 1.0)
    packed, asked = torch.randn(2, 5, 2, 3, 8), torch.randn(2, 2, 3, 5, 8)

    def split(from_here: Tensor) -> Tensor:  # query and key [B, H, T, K] as attention has them, not contiguous
        return from_here.permute(2, 0, 3, 1, 4)

    query, key = split(mine := leaf(packed))
    turned = torch.stack(layer(query, key, shared)[:2])

    left, right = split(theirs := leaf(packed)).chunk(2, dim=-1)
    cos, sin = shared[0]
    plain = torch.cat((left * cos - right * sin, right * cos + left * sin), dim=-1)
    torch.testing.assert_close(turned, plain)
    torch.testing.assert_close(gradients(turned, asked, mine), gradients(plain, asked, theirs))
    with torch.no_grad():
        torch.testing.assert_close(torch.stack(layer(query, key, shared)[:2]), plain)


def test_gradients_of_query_key_and_value() -> None:
    attention, packed = Attention().build(Sizes(12, 1, 3, 8, 5)), torch.randn(2, 5, 36)
    asked = torch.randn(3, 2, 3, 5, 4)
    apart = attention._heads(mine := leaf(packed), 3)
    plain = (theirs := leaf(packed)).view(2, 5, 3, 3, 4).permute(2, 0, 3, 1, 4)
    torch.testing.assert_close(torch.stack(apart), plain)
    torch.testing.assert_close(gradients(torch.stack(apart), asked, mine), gradients(plain, asked, theirs))
    # a part that nothing was made of has none
    (only,) = gradients(attention._heads(again := leaf(packed), 3)[1], asked[1], again)
    expected = gradients(theirs.view(2, 5, 3, 3, 4).permute(2, 0, 3, 1, 4)[1], asked[1], theirs)
    torch.testing.assert_close([only], expected)


def leaf(values: Tensor) -> Tensor:
    return values.clone().requires_grad_()


def gradients(found: Tensor, asked: Tensor, *by: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad((found * asked).sum(), by))
