"""Likelihoods of sentences against the definition, one piece at a time."""

import numpy as np
import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.interop.folder import export_folder
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.probes.minimal_pairs import MinimalPairs, Reader
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.tokenizers.wordpiece import WordPiece

SENTENCES = [
    "the dogs bark .",
    "the dogs barks .",
    "she unbelievably sang",
    "a",
    "he sang the song of the dogs .",
]


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def folder(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    is_decoder = request.param == "decoder"
    recipe = (ByteLevelBPE if is_decoder else WordPiece)(
        vocab_size=290 if is_decoder else 60, min_frequency=1
    )
    tokenizer = recipe.make(SENTENCES * 4, corpus_bytes=400)
    tokenizer.save(path / "tokenizer")
    kind = Decoder if is_decoder else Encoder
    architecture = kind(
        hidden_size=32, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64
    )
    torch.manual_seed(0)
    backbone = architecture.build(tokenizer.vocabulary)
    head = architecture.build_lm_head(backbone)
    with torch.no_grad():
        for parameter in (*backbone.parameters(), *head.parameters()):
            parameter.mul_(4)  # so that likelihoods differ much from uniform ones
    export_folder(
        path / "model",
        architecture,
        backbone,
        head,
        vocabulary=tokenizer.vocabulary,
        tokenizer=path / "tokenizer",
    )
    return path


def one_piece(reader, row, place, target):
    with torch.inference_mode():
        hidden = reader.backbone(torch.tensor([row]))
        return reader.lm_head(hidden[0, place : place + 1]).log_softmax(-1)[0, target].item()


def by_definition(reader, sentence, reading):
    """The sum over pieces, each asked alone in a row of its own."""
    encoding = reader.tokenizer.plain.encode(sentence)
    total = 0.0
    if reading == "left_to_right":
        row = [
            reader.tokenizer.vocabulary.bos or reader.tokenizer.vocabulary.cls,
            *reader.tokenizer.encode(sentence),
        ]
        return sum(one_piece(reader, row[: i + 1], i, row[i + 1]) for i in range(len(row) - 1))
    for place, is_special in enumerate(encoding.special_tokens_mask):
        if is_special:
            continue
        row = list(encoding.ids)
        for later in range(place, len(row)):
            same_word = encoding.word_ids[later] == encoding.word_ids[place]
            if later == place or (reading == "within_word" and same_word):
                row[later] = reader.tokenizer.vocabulary.mask
        total += one_piece(reader, row, place, encoding.ids[place])
    return total


def test_batches_give_what_the_definition_says(folder):
    reader = Reader.load(folder)
    readings = ["left_to_right"] if reader.reading == "left_to_right" else ["masked", "within_word"]
    for reading in readings:
        for pieces in (40, 4000):
            probe = MinimalPairs(reading, pieces_at_once=pieces)
            found = probe.log_likelihoods(reader.predict, reader.tokenizer, SENTENCES)
            expected = [by_definition(reader, sentence, reading) for sentence in SENTENCES]
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_hiding_the_rest_of_a_word_changes_words_of_several_pieces_only(folder):
    reader = Reader.load(folder)
    if reader.reading == "left_to_right":
        pytest.skip("a decoder hides nothing")
    masked, within = (
        MinimalPairs(reading).log_likelihoods(reader.predict, reader.tokenizer, SENTENCES)
        for reading in ("masked", "within_word")
    )
    for number, sentence in enumerate(SENTENCES):
        words = [w for w in reader.tokenizer.plain.encode(sentence).word_ids if w is not None]
        assert (masked[number] == pytest.approx(within[number])) == (len(set(words)) == len(words))


def test_preferences_are_counted_by_group(folder):
    reader = Reader.load(folder)
    pairs = [(SENTENCES[0], SENTENCES[1]), (SENTENCES[1], SENTENCES[0]), ("a", "a")]
    found = MinimalPairs(reader.reading)(reader.predict, reader.tokenizer, pairs, ["x", "y", "tie"])
    assert found.margins[0] == -found.margins[1] != 0
    assert found.by_group["x"] + found.by_group["y"] == 1.0
    assert found.by_group["tie"] == 0.0
    assert found.preferred.tolist() == [int(margin <= 0) for margin in found.margins]
    assert found.accuracy == pytest.approx(1 / 3)


def test_a_folder_without_a_head_is_one_line(tmp_path):
    recipe = WordPiece(vocab_size=60, min_frequency=1).make(SENTENCES * 4, corpus_bytes=400)
    recipe.save(tmp_path / "tokenizer")
    architecture = Encoder(hidden_size=32, intermediate_size=64, max_position_embeddings=64)
    backbone = architecture.build(recipe.vocabulary)
    export_folder(
        tmp_path / "model",
        architecture,
        backbone,
        architecture.build_lm_head(backbone),
        vocabulary=recipe.vocabulary,
        tokenizer=tmp_path / "tokenizer",
    )
    from safetensors.torch import load_file, save_file

    weights = load_file(tmp_path / "model" / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("cls.")}
    save_file(kept, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        UserError, match="has no language-model head, so it cannot say how likely a sentence is"
    ):
        Reader.load(tmp_path)
