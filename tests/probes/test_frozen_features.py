"""Linear probes: what is in the states is found, what is not is not."""

import numpy as np
import pytest
import torch

from afterbert.downstream.example import Example
from afterbert.models.decoder import Decoder
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.probes.frozen_features import FrozenFeatures, FrozenModel
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.workflows.closing import _some

WORDS = ["red", "blue", "green", "one", "two", "three"]
KINDS = [Encoder, Decoder, EncoderDecoder, Permutation]


def model(kind):
    tokenizer = ByteLevelBPE(vocab_size=300, min_frequency=1).make([" ".join(WORDS)] * 9, corpus_bytes=200)
    torch.manual_seed(0)
    architecture = kind(hidden_size=32, intermediate_size=64, max_position_embeddings=32)
    return FrozenModel(architecture, architecture.build(tokenizer.vocabulary).eval(), tokenizer)


def texts(seed, count=120):
    drawn = np.random.default_rng(seed).integers(len(WORDS), size=(count, 4))
    return [tuple(WORDS[i] for i in row) for row in drawn]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_what_each_row_gives_alone(kind):
    frozen, rows = model(kind), [("red blue",), ("one",), ("two three green one two",)]
    for layer in (None, 0, 1, 2) if kind is not Permutation else (None,):
        probe = FrozenFeatures(layer=layer)
        together = probe.sentences(frozen, rows)
        alone = np.concatenate([probe.sentences(frozen, [row]) for row in rows])
        np.testing.assert_allclose(together, alone, atol=1e-5)
        assert together.shape == (3, 32)


def test_the_last_layer_is_what_the_model_gives():
    frozen = model(Encoder)
    ids = torch.tensor([frozen.tokenizer.plain.encode("red blue one").ids])
    expected = frozen.backbone(ids)[0].detach().numpy()
    (words,) = FrozenFeatures().words(frozen, [("red", "blue", "one")])
    starts = [frozen.tokenizer.plain.encode("red blue one").char_to_token(at) for at in (0, 4, 9)]
    np.testing.assert_allclose(words, expected[starts], atol=1e-6)
    first = FrozenFeatures(pooling="first").sentences(frozen, [("red blue one",)])
    np.testing.assert_allclose(first[0], expected[0], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_that_stands_in_the_text_is_found(kind):
    frozen, probe = model(kind), FrozenFeatures(strength=1.0)
    train, test = texts(0), texts(1, 60)
    features = [probe.sentences(frozen, [(" ".join(words),) for words in rows]) for rows in (train, test)]
    truth = ["yes" if "red" in words else "no" for words in test]
    found = probe.classify(features[0], ["yes" if "red" in words else "no" for words in train], features[1])
    assert np.mean([a == b for a, b in zip(found, truth)]) > 0.85
    words = [np.concatenate(probe.words(frozen, rows)) for rows in (train, test)]
    tags = [[word in WORDS[:3] for row in rows for word in row] for rows in (train, test)]
    assert np.mean(np.array(probe.classify(words[0], tags[0], words[1])) == tags[1]) > 0.9
    noise = np.random.default_rng(2).integers(2, size=len(train)).tolist()
    chance = probe.classify(features[0], noise, features[1])
    assert abs(np.mean(np.array(chance) == np.random.default_rng(3).integers(2, size=len(test))) - 0.5) < 0.25


def test_pairs_hold_both_vectors_their_difference_and_product():
    frozen, probe = model(Encoder), FrozenFeatures()
    pair = probe.sentences(frozen, [("red blue", "one two three")])[0].reshape(4, 32)
    u, v = probe.sentences(frozen, [("red blue",), ("one two three",)])
    np.testing.assert_allclose(pair, [u, v, np.abs(u - v), u * v], atol=1e-6)
    assert probe.sentences(frozen, []).shape == (0, 32)


def test_of_a_sorted_file_all_classes_are_trained_on():
    rows = [Example(str(n), ("a",), "no" if n < 500 else "yes") for n in range(1000)]
    some = _some(rows, 100)
    assert len(some) == len({row.key for row in some}) == 100
    assert 30 < sum(row.label == "yes" for row in some) < 70
    assert _some(rows, 100) == some and _some(rows, 2000) == rows
