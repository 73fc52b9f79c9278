"""Every architecture in `models/`: predictions, determinism, independence of the batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import yaml

from afterbert.base import config, plugins, tree
from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.models import Architecture
from afterbert.models.permutation import Permutation
from afterbert.nn.inputs import Inputs
from afterbert.nn.residuals.post_norm import PostNorm
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.sharing.all import ShareAll
from afterbert.nn.sharing.attention import ShareAttention
from afterbert.nn.sharing.feed_forward import ShareFeedForward
from afterbert.nn.sharing.groups import ShareGroups
from afterbert.nn.visibility import PaddedVisibility

VOCABULARY = Vocabulary(size=29, pad=0, cls=2, sep=3, mask=4, bos=2, eos=3)
NAMES = plugins.names(Architecture)


@pytest.fixture(params=NAMES)
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return plugins.find(Architecture, request.param)()


def test_parameters_are_counted_without_weights(architecture: Architecture) -> None:
    backbone = architecture.build(VOCABULARY)
    head = architecture.build_lm_head(backbone)
    assert architecture.num_parameters(29) == sum(p.numel() for p in backbone.parameters())
    assert architecture.num_lm_head_parameters(29) == sum(p.numel() for p in head.parameters())


def test_any_sharing_factorization_and_residual_applies_to_any_architecture(architecture: Architecture) -> None:
    """Refused is only what the architecture says it cannot be (a permutation model before-norm)."""
    base: Any = architecture
    for sharing in (ShareAll(), ShareAttention(), ShareFeedForward(), ShareGroups(2)):
        for residual in (PostNorm(), PreNorm(), PreNorm(has_first_norm=False)):
            if isinstance(architecture, Permutation) and isinstance(residual, PreNorm):
                continue
            stack = replace(base.stack, sharing=sharing, residual=residual)
            changed = replace(base, embeddings=replace(base.embeddings, embedding_size=24), stack=stack)
            backbone = changed.build(VOCABULARY)
            head = changed.build_lm_head(backbone)
            state = backbone.state_dict()
            assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
            assert head(torch.randn(2, changed.hidden_size)).shape == (2, 29)


def test_no_weight_has_two_names(architecture: Architecture) -> None:
    backbone = architecture.build(VOCABULARY)
    state = backbone.state_dict()
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)
    assert set(state) == {name for name, _ in backbone.named_parameters()}, "buffers are made, not saved"


def test_the_seed_decides_the_weights(architecture: Architecture) -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(architecture.build(VOCABULARY).state_dict())
    assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])


def test_the_head_is_tied_to_the_table_without_owning_it(architecture: Architecture) -> None:
    backbone = architecture.build(VOCABULARY).double()
    head = architecture.build_lm_head(backbone).double()
    hidden = torch.randn(3, architecture.hidden_size, dtype=torch.float64)
    before = head(hidden)
    with torch.no_grad():
        backbone.embeddings.token.weight[7] += 1
    assert (head(hidden) != before).any(0).nonzero().flatten().tolist() == [7]


def test_the_plain_form_reads_back_as_the_same_config(architecture: Architecture) -> None:
    written = yaml.safe_dump(config.to_plain(architecture))
    node = tree.parse(written, label="plain.yaml")
    assert config.build(Architecture, node) == architecture  # type: ignore[type-abstract]


def test_flops_grow_with_length_and_are_at_least_twice_the_layers_weights(architecture: Architecture) -> None:
    short, long = architecture.flops_per_token(29, 16), architecture.flops_per_token(29, 256)
    assert 0 < short < long


def test_a_vocabulary_that_does_not_fit_is_refused(architecture: Architecture) -> None:
    small = type(architecture)(vocab_size=28)
    with pytest.raises(UserError, match="vocab_size is 28, but the tokenizer has 29 pieces"):
        small.build(VOCABULARY)


def test_every_kind_answers_what_it_reads_and_writes_and_gives_its_layers(architecture: Architecture) -> None:
    backbone = architecture.build(VOCABULARY).eval()
    assert backbone.writes_apart == (architecture.writes == "apart")
    assert architecture.has_segments or architecture.type_vocab_size <= 1
    assert getattr(VOCABULARY, architecture.writing_start(VOCABULARY)) is not None
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 10, 3, 0, 0]])
    inputs = Inputs(ids, visibility=PaddedVisibility(lengths=torch.tensor([5, 3])))
    with torch.inference_mode():
        found, plain = backbone.layers(inputs, attention=True), backbone.read(inputs)
        wanted = backbone.read(inputs, wanted=torch.tensor([1, 6]))
        shorter = backbone.read(Inputs(ids[1:, :3]))
    assert found.last is not None and len(found.hidden) == architecture.num_hidden_layers + 1
    torch.testing.assert_close(found.last, plain, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(wanted, plain.flatten(0, 1)[[1, 6]], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shorter[0], plain[1, :3], atol=1e-5, rtol=1e-4)
    assert len(found.attention) == architecture.num_hidden_layers
    for one in found.attention:
        weights = one.weights[1, :, :3]  # of pieces to pieces; padding is never looked at
        torch.testing.assert_close(weights[..., :3].sum(-1), torch.ones_like(weights[..., 0]))
        assert not one.weights[1, :, :3, 3:].any()
    assert all(part.recording is None for part in backbone.modules() if hasattr(part, "recording"))
