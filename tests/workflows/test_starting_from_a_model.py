"""Which recipe trains a model that is there already, where the user names none or one of another kind."""

from dataclasses import replace

import pytest

from afterbert.base.errors import UserError
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.workflows.pretrain_request import PretrainRequest, resolved_for

_SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}


def model_of(architecture: Architecture) -> LoadedModel:
    tokenizer = ByteLevelBPE(vocab_size=300).make(["The old mill."], corpus_bytes=100)
    made = replace(architecture, vocab_size=tokenizer.vocabulary.size)
    return LoadedModel("theirs", made, tokenizer, {}, None)


@pytest.mark.parametrize(
    ("architecture", "usual", "other"),
    [
        (Encoder(**_SIZES), "laptop", "bart"),
        (Decoder(**_SIZES), "gpt2", "roberta"),
        (EncoderDecoder(**_SIZES), "bart", "roberta"),
    ],
)
def test_the_usual_recipe_of_its_kind_is_taken_or_named(architecture: Architecture, usual: str, other: str) -> None:
    start = model_of(architecture)
    assert resolved_for(PretrainRequest(), start).name == usual
    with pytest.raises(UserError, match=f"; take --recipe {usual}$") as told:
        resolved_for(PretrainRequest(recipe=other), start)
    assert "model.type" not in str(told.value)
