"""The encoder: nodes vary independently, parts that are switched off leave nothing behind."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.models.encoder import Encoder
from afterbert.nn.attention import Attention
from afterbert.nn.embeddings import Embeddings
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.feed_forwards.plain import Plain
from afterbert.nn.heads import LMHead
from afterbert.nn.initializations.fan_in import FanIn
from afterbert.nn.initializations.normal import Normal
from afterbert.nn.inputs import Inputs
from afterbert.nn.norms.identity import Identity
from afterbert.nn.norms.layer_norm import LayerNorm
from afterbert.nn.norms.rms_norm import RMSNorm
from afterbert.nn.position_embeddings.learned import Learned
from afterbert.nn.position_embeddings.none import NoPositionEmbedding
from afterbert.nn.position_embeddings.sinusoid import Sinusoid
from afterbert.nn.positions.none import NoPositions
from afterbert.nn.positions.relative_bias import RelativeBias
from afterbert.nn.positions.rotary import Rotary
from afterbert.nn.positions.transformer_xl import TransformerXL
from afterbert.nn.residuals.post_norm import PostNorm
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.sharing.attention import ShareAttention
from afterbert.nn.sharing.feed_forward import ShareFeedForward
from afterbert.nn.sharing.groups import ShareGroups
from afterbert.nn.stack import Stack, Windows
from afterbert.nn.visibility import PaddedVisibility

VOCABULARY = Vocabulary(size=23, pad=0)
TINY = Encoder(hidden_size=16, num_attention_heads=2, intermediate_size=24, max_position_embeddings=12)


def variants() -> list[Encoder]:
    found = []
    for residual, feed_forward, norm in product(
        (PostNorm(), PreNorm(), PreNorm(has_first_norm=False)),
        (Plain(), Plain(bias=False, activation="relu"), Gated(), Gated(bias=True, activation="silu")),
        (LayerNorm(), LayerNorm(bias=False), RMSNorm(), Identity()),
    ):
        found.append(replace(TINY, norm=norm, stack=Stack(feed_forward=feed_forward, residual=residual)))
    for attention in (
        Attention(bias=False),
        Attention(head_size=6, positions=Rotary()),
        Attention(is_scaled=False, positions=RelativeBias(num_buckets=4, max_distance=5)),
        Attention(positions=TransformerXL(clamp_length=3), has_relative_segments=True),
    ):
        found.append(replace(TINY, stack=Stack(attention=attention)))
    for sharing in (ShareAll(), ShareAttention(), ShareFeedForward(), ShareGroups(layers_per_group=2)):
        found.append(replace(TINY, stack=Stack(sharing=sharing), num_hidden_layers=4))
    for embeddings in (
        Embeddings(embedding_size=6),
        Embeddings(positions=NoPositionEmbedding(), type_vocab_size=0, has_norm=False),
        Embeddings(positions=Sinusoid(), is_scaled=True),
    ):
        found.append(replace(TINY, embeddings=embeddings))
    for head in (
        LMHead(has_transform=False),
        LMHead(bias=False, decoder_bias=False),
        LMHead(is_tied=False, is_scaled=True),
    ):
        found.append(replace(TINY, lm_head=head))
    found.append(replace(TINY, stack=Stack(windows=Windows(local_attention=4)), num_hidden_layers=4))
    return found


def test_every_variant_has_its_shape() -> None:
    ids = torch.randint(0, 23, (2, 9))
    for config in variants():
        backbone = config.build(VOCABULARY)
        head = config.build_lm_head(backbone)
        hidden = backbone(ids)
        assert hidden.shape == (2, 9, 16) and hidden.isfinite().all(), config
        assert head(hidden[:, 0]).shape == (2, 23), config


def test_a_row_gives_the_same_alone_and_in_a_padded_batch() -> None:
    for config in variants():
        backbone = config.build(VOCABULARY).eval().double()
        ids = torch.randint(1, 23, (3, 10))
        lengths = torch.tensor([10, 4, 7])
        batch = backbone(ids, visibility=PaddedVisibility(lengths=lengths))
        for row, length in enumerate(lengths):
            alone = backbone(ids[row : row + 1, :length])
            torch.testing.assert_close(batch[row, :length], alone[0], atol=1e-12, rtol=1e-10)


def test_without_dropout_no_dropout_runs() -> None:
    config = replace(TINY, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    backbone = config.build(VOCABULARY).train()
    assert not any(isinstance(part, torch.nn.Dropout) for part in backbone.modules())
    with torch.profiler.profile() as profile:
        backbone(torch.zeros(1, 3, dtype=torch.long))
    assert not [event.key for event in profile.key_averages() if "dropout" in event.key or "bernoulli" in event.key]


def test_dropout_acts_in_training_only() -> None:
    backbone = TINY.build(VOCABULARY)
    ids = torch.arange(8)[None]
    assert not torch.equal(backbone(ids), backbone(ids))
    assert torch.equal(backbone.eval()(ids), backbone(ids))


def test_layer_states_end_in_the_output() -> None:
    backbone = TINY.build(VOCABULARY).eval()
    ids = torch.arange(8)[None]
    states = backbone.layers(Inputs(ids)).hidden
    assert len(states) == 3 and torch.equal(states[-1], backbone(ids))


def test_rotary_scores_know_only_distances() -> None:
    stack = Stack(attention=Attention(positions=Rotary()))
    config = replace(TINY, stack=stack, embeddings=Embeddings(positions=NoPositionEmbedding()))
    backbone = replace(config, initialization=Normal(0.5)).build(VOCABULARY).eval().double()
    ids = torch.arange(8)[None]
    moved = backbone(ids, position_ids=torch.arange(8)[None] + 1000)
    # cosines are made in float32, whatever the model's type
    torch.testing.assert_close(backbone(ids), moved, atol=1e-3, rtol=0)
    assert not torch.allclose(backbone(ids), backbone(ids, position_ids=torch.arange(8)[None] * 2), atol=0.1)


def test_each_language_adds_its_vector_and_none_where_it_is_not_said() -> None:
    config = replace(TINY, embeddings=Embeddings(languages=("de", "en")))
    backbone = config.build(VOCABULARY).eval()
    ids = torch.arange(4)[None]
    one, two = (backbone(ids, language_ids=torch.full_like(ids, language)) for language in (0, 1))
    assert not torch.allclose(one, two)
    with torch.no_grad():
        backbone.embeddings.language.weight[1] = 0
    assert torch.equal(backbone(ids), backbone(ids, language_ids=torch.ones_like(ids)))
    with pytest.raises(UserError, match="embeddings.languages names en twice"):
        Embeddings(languages=("en", "de", "en"))


def test_a_row_longer_than_the_table_is_refused() -> None:
    backbone = TINY.build(VOCABULARY)
    with pytest.raises(UserError, match="a row of 13 pieces exceeds max_position_embeddings 12"):
        backbone(torch.zeros(1, 13, dtype=torch.long))


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="hidden_size 16 does not divide into 3"):
        replace(TINY, num_attention_heads=3)
    with pytest.raises(UserError, match="even head width, found 1"):
        replace(TINY, num_attention_heads=16, stack=Stack(attention=Attention(positions=Rotary()))).build(VOCABULARY)
    with pytest.raises(UserError, match="even width"):
        replace(TINY, embeddings=Embeddings(positions=Sinusoid(), embedding_size=7)).build(VOCABULARY)


def test_fresh_weights_follow_the_rule() -> None:
    config = replace(TINY, hidden_size=64, intermediate_size=256, initialization=Normal(0.1, scales_residuals=True))
    torch.manual_seed(0)
    weights = config.build(VOCABULARY).state_dict()
    plain, output = (weights["stack.attention.0.inner.qkv.weight"], weights["stack.attention.0.inner.output.weight"])
    # a normal cut at two deviations keeps 0.8796 of its deviation
    assert plain.abs().max() <= 0.2 and plain.std().item() == pytest.approx(0.08796, rel=0.03)
    assert output.std().item() == pytest.approx(0.08796 / 2, rel=0.03), "two layers: sqrt(2 * 2) smaller"
    assert weights["stack.attention.0.inner.qkv.bias"].abs().max() == 0
    uncut = Normal(0.1, initializer_cutoff_factor=None)
    drawn = replace(config, initialization=uncut).build(VOCABULARY).state_dict()["embeddings.token.weight"]
    assert drawn.abs().max() > 0.2 and drawn.std().item() == pytest.approx(0.1, rel=0.06)


def test_the_decoder_bias_starts_at_log_frequencies() -> None:
    backbone = TINY.build(VOCABULARY)
    head = TINY.build_lm_head(backbone)
    log_frequencies = torch.log_softmax(torch.randn(23), -1)
    head.start_at(log_frequencies)
    nothing = torch.zeros(1, 16)
    with torch.no_grad():
        backbone.embeddings.token.weight.zero_()
    torch.testing.assert_close(head(nothing)[0], log_frequencies)
    assert replace(TINY, lm_head=LMHead(decoder_bias=False)).build_lm_head(backbone).bias is None


def test_positions_may_restart() -> None:
    backbone = replace(TINY, embeddings=Embeddings(positions=Learned())).build(VOCABULARY).eval()
    ids = torch.tensor([[5, 6, 5, 6]])
    hidden = backbone(ids, position_ids=torch.tensor([[0, 1, 0, 1]]))
    torch.testing.assert_close(hidden[0, :2], hidden[0, 2:])


def test_no_positions_means_a_bag_of_words() -> None:
    config = replace(
        TINY,
        embeddings=Embeddings(positions=NoPositionEmbedding()),
        stack=Stack(attention=Attention(positions=NoPositions())),
    )
    backbone = config.build(VOCABULARY).eval().double()
    order = torch.tensor([3, 1, 0, 2])
    ids = torch.tensor([[5, 6, 7, 8]])
    torch.testing.assert_close(backbone(ids)[:, order], backbone(ids[:, order]))


def test_shared_layers_are_one_layer_applied_again() -> None:
    shared = replace(TINY, stack=Stack(sharing=ShareAll()), num_hidden_layers=3).build(VOCABULARY).eval()
    apart = replace(TINY, num_hidden_layers=3).build(VOCABULARY).eval()
    weights = shared.state_dict()
    copies = {name: weights[re.sub(r"(attention|feed_forward)\.\d", r"\1.0", name)] for name in apart.state_dict()}
    apart.load_state_dict(copies)
    ids = torch.arange(8)[None]
    assert torch.equal(shared(ids), apart(ids))


def test_layers_that_do_not_divide_into_groups_are_refused() -> None:
    with pytest.raises(UserError, match="3 layers do not divide into groups of 2"):
        replace(TINY, stack=Stack(sharing=ShareGroups(layers_per_group=2)), num_hidden_layers=3)


def test_fan_in_starts_each_matrix_by_its_width() -> None:
    attention = Attention(head_size=16, is_scaled=False, positions=RelativeBias())
    config = replace(TINY, hidden_size=256, stack=Stack(attention=attention), initialization=FanIn())
    torch.manual_seed(0)
    weights = config.build(VOCABULARY).state_dict()
    query, key, _ = weights["stack.attention.0.inner.qkv.weight"].chunk(3)
    assert key.std().item() == pytest.approx(256**-0.5, rel=0.05)
    assert query.std().item() == pytest.approx((256 * 16) ** -0.5, rel=0.05)
    assert weights["stack.feed_forward.0.inner.output.weight"].std().item() == pytest.approx(24**-0.5, rel=0.05)
    assert weights["embeddings.token.weight"].std().item() == pytest.approx(1.0, rel=0.05)
    table = weights["stack.positions.full_attention.table.weight"]
    assert table.std().item() == pytest.approx(256**-0.5, rel=0.3)
