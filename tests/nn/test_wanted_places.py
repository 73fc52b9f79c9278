"""The last layer at the wanted places only gives what the whole layer gives there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.nn.attention import Attention
from afterbert.nn.positions.relative_bias import RelativeBias
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.recurrence import Halting, Recurrence
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.stack import Stack, Windows
from afterbert.nn.visibility import PaddedVisibility

TINY = Encoder(hidden_size=16, intermediate_size=24, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
MODELS = {
    "post-norm": TINY,
    "pre-norm": replace(TINY, stack=Stack(residual=PreNorm())),
    "rotary": replace(TINY, stack=replace(TINY.stack, attention=replace(TINY.stack.attention, positions=Rotary()))),
    "shared": replace(TINY, stack=Stack(sharing=ShareAll())),
    "halting": replace(TINY, stack=Stack(sharing=ShareAll(), recurrence=Recurrence(halting=Halting()))),
    "windows": replace(TINY, stack=Stack(residual=PreNorm(), windows=Windows(local_attention=4))),
    "relative bias": replace(TINY, stack=Stack(attention=Attention(positions=RelativeBias()))),
    "causal": Decoder(hidden_size=16, intermediate_size=24, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0),
}


@pytest.mark.parametrize("asked", [[1, 4, 4, 9, 17], [16, 3, 7]], ids=["many of a row", "few of each row"])
@pytest.mark.parametrize("name", MODELS)
def test_states_and_gradients_are_the_same(name: str, asked: list[int]) -> None:
    torch.manual_seed(0)
    backbone = MODELS[name].module(30).double()
    ids, places = torch.randint(0, 30, (3, 6)), torch.tensor(asked)
    rule = None if name == "causal" else PaddedVisibility(lengths=torch.tensor([6, 4, 6]))
    whole = backbone(ids, visibility=rule).flatten(0, 1)[places]
    some = backbone(ids, visibility=rule, wanted=places)
    torch.testing.assert_close(some, whole, rtol=1e-9, atol=1e-9)
    weights = [weight for weight in backbone.parameters() if weight.requires_grad]
    factor = torch.randn_like(whole)
    found = torch.autograd.grad((some * factor).sum(), weights, allow_unused=True)
    for mine, right in zip(found, torch.autograd.grad((whole * factor).sum(), weights, allow_unused=True)):
        assert (mine is None) == (right is None)
        if mine is not None and right is not None:
            torch.testing.assert_close(mine, right, rtol=1e-9, atol=1e-9)
