"""Every family in `interop/families/`: its table is whole, and what it reads it can write."""

from __future__ import annotations

import re

import pytest
import torch

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.base.vocabulary import Vocabulary
from afterbert.interop.families import Family
from afterbert.interop.folder import their_tensors

VOCABULARY = Vocabulary(size=41, pad=1, bos=2, eos=3, cls=2, sep=3, mask=4)


@pytest.fixture(params=plugins.names(Family))
def family(request: pytest.FixtureRequest) -> Family:
    return plugins.find(Family, request.param)()


OWN_SIZES = {
    "bart": {"d_model": 16, "encoder_layers": 2, "decoder_layers": 1}
    | dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "xlm": {"emb_dim": 16, "n_layers": 2, "n_heads": 2, "n_langs": 3},
    "xlnet": {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24},
}


def smallest(family: Family) -> dict:
    """Their own config class, made tiny."""
    from transformers import AutoConfig

    name = family.model_type
    sizes = OWN_SIZES.get(name, {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2})
    config = AutoConfig.for_model(name, **sizes, vocab_size=41, pad_token_id=1)
    return {key: value for key, value in config.to_dict().items() if value is not None}


def test_the_table_names_every_weight_of_theirs_once(family: Family) -> None:
    import transformers

    config = smallest(family)
    theirs = getattr(transformers, family.lm_class)._from_config(transformers.AutoConfig.for_model(**config))
    tied = set(theirs._tied_weights_keys or ())
    architecture = family.architecture_of(config)
    table = family.weights(config, architecture)
    names = [name for line in table for name in line.theirs]
    assert len(names) == len(set(names))
    for name, tensor in theirs.state_dict().items():
        assert name in names or name in tied or re.match(family.meaningless, name), name
        if name in names:
            assert tensor.dtype.is_floating_point


def test_every_weight_of_ours_goes_out_and_comes_back(family: Family) -> None:
    config = smallest(family)
    architecture = family.architecture_of(config)
    backbone = architecture.build(VOCABULARY)
    head = architecture.build_lm_head(backbone)
    ours = {f"backbone.{name}": torch.randn_like(tensor) for name, tensor in backbone.state_dict().items()}
    ours |= {f"lm_head.{name}": torch.randn_like(tensor) for name, tensor in head.state_dict().items()}
    theirs = their_tensors(family.weights(config, architecture), ours)
    assert all(tensor.is_contiguous() for tensor in theirs.values())
    for line in family.weights(config, architecture):
        if line.ours in ours:
            assert torch.equal(line.to_ours(theirs), ours[line.ours]), line
            shapes = {tuple(theirs[name].shape) for name in line.theirs}
            assert shapes == {line.shape_of_theirs(tuple(ours[line.ours].shape))}, line


def test_what_is_read_can_be_expressed_again(family: Family) -> None:
    architecture = family.architecture_of(smallest(family))
    config = family.express(architecture, VOCABULARY)
    assert config["model_type"] == family.model_type
    assert family.architecture_of(config) == architecture


def test_every_size_of_a_config_is_bounded(family: Family) -> None:
    """A key that decides how many or how large modules are is one of the family's sizes."""
    from afterbert.interop.sizes import check_sizes

    config = smallest(family)
    before = family.architecture_of(config).num_parameters(41)
    for key, value in config.items():
        is_number = isinstance(value, int) and not isinstance(value, bool) and value > 1
        if not is_number or key in family.sizes or key in ("type_vocab_size", "pad_token_id"):
            continue
        grown = {**config, key: 2 * value}
        assert family.architecture_of(grown).num_parameters(41) == before, f"{key} is a size that nobody bounds"
    for key in family.sizes:
        with pytest.raises(UserError, match=f"has {key} 0; must be a whole number from 1"):
            check_sizes({key: 0}, "config.json", family.sizes)
