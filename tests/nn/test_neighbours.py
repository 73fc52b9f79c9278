"""Heads that start by looking at the pieces beside."""

from dataclasses import replace

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.models.encoder import Encoder
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.initializations.neighbours import Neighbours
from afterbert.nn.initializations.normal import Normal
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.recording import recorded
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.stack import Stack

VOCABULARY = Vocabulary(size=500, pad=0)
MODEL = Encoder(
    hidden_size=128,
    num_attention_heads=4,
    num_hidden_layers=3,
    embeddings=Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0),
    norm=LayerNorm(bias=False),
    stack=Stack(attention=Attention(bias=False, positions=Rotary()), residual=PreNorm(has_first_norm=False)),
    initialization=Neighbours(offsets=((-1, 1, 3), (-2,))),
)


def test_heads_start_by_looking_where_they_are_told() -> None:
    torch.manual_seed(0)
    backbone = MODEL.build(VOCABULARY).eval()
    ids = torch.randint(0, 500, (8, 40))
    with torch.no_grad(), recorded(backbone, attention=True) as recording:
        backbone(ids)
    (read,) = recording.passes
    shares = torch.stack([attended.weights.mean(0) for attended in read.attention])  # [L, H, U, T]
    for layer, head, offset in ((0, 0, -1), (0, 1, 1), (0, 2, 3), (1, 0, -2)):
        there = shares[layer, head].diagonal(offset)
        assert there.mean() > 0.5, (layer, head)
    for layer, head in ((0, 3), (1, 1), (2, 0)):  # as drawn: nearly even over the row
        assert shares[layer, head].max() < 0.2, (layer, head)


def test_all_else_is_drawn_as_ever() -> None:
    plain, ours = (replace(MODEL, initialization=rule) for rule in (Normal(), MODEL.initialization))
    states = []
    for model in (plain, ours):
        torch.manual_seed(0)
        states.append(model.build(VOCABULARY).state_dict())
    changed = {name for name, weight in states[0].items() if not torch.equal(weight, states[1][name])}
    assert changed == {
        "embeddings.token.weight",
        "stack.attention.0.inner.qkv.weight",
        "stack.attention.1.inner.qkv.weight",
    }


@pytest.mark.parametrize("model", [replace(MODEL, stack=Stack(), embeddings=Embeddings())], ids=["learned positions"])
def test_models_that_cannot_are_refused(model: Encoder) -> None:
    with pytest.raises(UserError, match="needs rotary positions"):
        model.build(VOCABULARY)
