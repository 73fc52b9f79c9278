"""Prompts in, texts out."""

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.downstream.posing.generation import Generation
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.interop.loaded import LoadedModel
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE

TEXTS = ["the dogs bark .", "she sang the song of the dogs .", "a cat sat on the mat ."]
SIZES = {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 40}


def generator(kind, **tokenizer_settings):
    tokenizer = ByteLevelBPE(vocab_size=310, min_frequency=1, **tokenizer_settings).make(TEXTS * 4, corpus_bytes=400)
    torch.manual_seed(0)
    made = TextGenerator.of(LoadedModel("toy", kind(**SIZES), tokenizer, {}, None))
    with torch.no_grad():
        for parameter in made.backbone.parameters():
            parameter.mul_(6)  # so that texts differ
        made.backbone.embeddings.token.weight[made.end] = 0  # else a BART, which begins with it, only repeats it
    return made


@pytest.mark.parametrize("kind", [Decoder, EncoderDecoder])
def test_a_prompt_is_answered_alike_alone_and_beside_others(kind):
    writer = generator(kind)
    prompts = ["the dogs", "she sang the song of the", "a"]
    for generation in (Generation(), Generation("beam"), Generation("sample", top_k=20)):
        together = writer.write(prompts, generation, longest=12)
        assert together[0] == writer.write(prompts[:1], generation, longest=12)[0]
        assert len(set(together)) > 1


def test_a_text_grows_and_ends_before_the_stop():
    writer, seen = generator(Decoder), []
    (whole,) = writer.write(["the dogs"], Generation("sample"), longest=20)
    stop = whole[8]
    (cut,) = writer.write(
        ["the dogs"], Generation("sample"), longest=20, stop=[stop], told=lambda texts: seen.append(texts[0])
    )
    assert cut == whole[: whole.index(stop)]
    assert len(seen) < 20
    assert seen[-1] == cut


def test_marks_become_the_models_own():
    with_sentinels = generator(EncoderDecoder, sentinels=3)
    known = with_sentinels.model.tokenizer.vocabulary
    ids = with_sentinels.prompt_ids("the [MASK] sat on <mask> .")
    assert [i for i in ids if i in known.sentinels] == list(known.sentinels[:2])
    with pytest.raises(UserError, match="4 masks, but the model only 3 sentinels"):
        with_sentinels.prompt_ids("[MASK]" * 4)
    with_mask = generator(EncoderDecoder)
    assert with_mask.prompt_ids("the [MASK] sat").count(with_mask.model.tokenizer.vocabulary.mask) == 1


def test_what_cannot_be_written_is_one_line():
    with pytest.raises(UserError, match="is encoder, which does not write texts; `afterbert fill`"):
        generator(Encoder)
    writer = generator(Decoder)
    with pytest.raises(UserError, match="prompt has .* pieces, but there is room for 30"):
        writer.write(["the dogs bark . " * 20], longest=10)
    assert writer.write(["the dogs bark . " * 20], longest=10, cuts_prompts=True)
    with pytest.raises(UserError, match="reads and writes 40 at most"):
        writer.write(["the"], longest=40)
