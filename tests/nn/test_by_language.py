"""Layers and tables that each language has for itself: what is shared is shared, what is not is not."""

from dataclasses import replace

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import family_for
from afterbert.interop.own import Own
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.nn.inputs import Inputs
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.routing import own_to_languages
from afterbert.nn.sharing.by_language import ShareByLanguage
from afterbert.nn.stack import Stack

VOCABULARY = Vocabulary(size=29, pad=0, cls=2, sep=3, mask=4, bos=2, eos=3)
IDS = torch.tensor([[2, 7, 8, 9, 3], [2, 10, 11, 12, 3]])


def encoder(layers=1, *, embeddings=True, residual=PreNorm(has_first_norm=False)):  # noqa: B008  # it is frozen
    sharing = ShareByLanguage(("en", "en-mirror"), layers=layers, embeddings=embeddings)
    return Encoder(hidden_size=16, intermediate_size=32, stack=Stack(sharing=sharing, residual=residual))


def read(backbone, ids, language):
    told = None if language is None else torch.as_tensor(language).expand_as(ids)
    return backbone.eval().read(Inputs(ids, language_ids=told))


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("embeddings", [False, True])
def test_parameters_are_predicted_and_each_language_uses_its_own(layers, embeddings):
    model = encoder(layers, embeddings=embeddings)
    backbone = model.build(VOCABULARY)
    head = model.build_lm_head(backbone)
    assert model.languages == ("en", "en-mirror")
    assert model.num_parameters(29) == sum(p.numel() for p in backbone.parameters())
    assert model.num_lm_head_parameters(29) == sum(p.numel() for p in head.parameters())
    with torch.inference_mode():
        one, other = read(backbone, IDS, 0), read(backbone, IDS, 1)
        assert torch.equal(read(backbone, IDS, None), one)
        assert torch.equal(one, other) == (not layers and not embeddings)
        mixed = read(backbone, IDS, [[0], [1]])
        torch.testing.assert_close(mixed[0], one[0])
        torch.testing.assert_close(mixed[1], other[1])
        wanted = backbone.read(Inputs(IDS, language_ids=torch.ones_like(IDS)), wanted=torch.tensor([1, 7]))
        torch.testing.assert_close(wanted, other.flatten(0, 1)[[1, 7]])


def test_weights_made_equal_give_the_shared_model():
    routed, shared = encoder(1), replace(encoder(1), stack=Stack(residual=PreNorm(has_first_norm=False)))
    backbone, plain = routed.build(VOCABULARY), shared.build(VOCABULARY)
    state = plain.state_dict()
    own = {name: state[name.replace(".parts.0", "").replace(".parts.1", "")] for name in backbone.state_dict()}
    own["embeddings.token.weight"] = state["embeddings.token.weight"].repeat(2, 1)
    backbone.load_state_dict(own)
    head, plain_head = routed.build_lm_head(backbone).eval(), shared.build_lm_head(plain).eval()
    head.load_state_dict({k: v.repeat(2) if k == "bias" else v for k, v in plain_head.state_dict().items()})
    with torch.inference_mode():
        expected = read(plain, IDS, None).flatten(0, 1)
        for language in (0, 1):
            found = read(backbone, IDS, language).flatten(0, 1)
            torch.testing.assert_close(found, expected)
            told = torch.full((len(found),), language)
            torch.testing.assert_close(head(found, told), plain_head(expected))
            targets = IDS.flatten()
            torch.testing.assert_close(head.score(found, targets, told), plain_head.score(expected, targets))


def test_a_step_of_one_language_leaves_the_parts_of_the_other():
    model = encoder(1)
    backbone = model.build(VOCABULARY)
    head = model.build_lm_head(backbone)
    told = torch.ones(10, dtype=torch.long)
    head.score(read(backbone, IDS, 1).flatten(0, 1), IDS.flatten(), told).backward()
    table = backbone.embeddings.token.weight.grad
    assert not table[:29].any() and table[29:].any() and not head.bias.grad[:29].any()
    parts = backbone.stack.feed_forward[0].parts
    assert not any(p.grad.any() for p in parts[0].parameters()) and any(p.grad.any() for p in parts[1].parameters())
    names = {id(p) for p in own_to_languages(backbone)}
    own = [name for name, p in backbone.named_parameters() if id(p) in names]
    assert own and all(".parts." in name or name == "embeddings.token.weight" for name in own)


def test_it_is_kept_in_our_own_layout_and_refused_where_it_cannot_be():
    model = replace(encoder(1), vocab_size=29)
    with pytest.raises(UserError, match="bert has no layers or tables of pieces by language"):
        family_for(model, VOCABULARY)
    kept = Own()
    assert kept.architecture_of(kept.config_of(model, VOCABULARY)) == model
    with pytest.raises(UserError, match="only an encoder shares its layers by_language"):
        Decoder(stack=model.stack)
    with pytest.raises(UserError, match="sharing.layers is 3, but the model has 2 layers"):
        encoder(3)
    with pytest.raises(UserError, match="name two or more"):
        ShareByLanguage(("en",))
