"""Cutting texts into chunks changes nothing: the pieces and their places are those of whole texts."""

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, normalizers, pre_tokenizers

from afterbert.text.pieces import encoding
from afterbert.text.pieces.encoding import PieceEncoder, cuts_at_spaces
from afterbert.text.pieces.tokenizer import Tokenizer
from invented_texts import ALL, RECIPES, documents, tokenizer_called

WHITE = st.sampled_from([" ", "  ", "\n", "\t ", " \n", "\u00a0", "\u3000", "\u2028", "\x85", "\v"])
WORDS = st.sampled_from(
    ["mill", "don't", "the", "3.14", "é", "ﬁ", "¨", "我们", "!", "'s", "\u0301", "\u200d", "ß", "ก็"]
)
TEXTS = st.lists(st.one_of(WHITE, WORDS, st.text(max_size=3)), max_size=30).map("".join)


def whole(name, text):
    found = tokenizer_called(name).plain.encode(text, add_special_tokens=False)
    return found.ids, [end for _, end in found.offsets]


@pytest.mark.parametrize("name", RECIPES)
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
def test_same_ids_as_whole_texts(name, texts):
    texts = [text.encode(errors="ignore").decode() for text in texts]
    encoded = PieceEncoder(tokenizer_called(name))(texts)
    for n, text in enumerate(texts):
        here = slice(encoded.piece_starts[n], encoded.piece_starts[n + 1])
        assert encoded.piece_ids[here].tolist() == whole(name, text)[0]


@pytest.mark.parametrize("name", RECIPES)
def test_same_places_whatever_was_encoded_before(name):
    encoder = PieceEncoder(tokenizer_called(name))
    first, again = encoder(ALL), encoder(ALL[::-1])
    for n, text in enumerate(ALL):
        here = slice(first.piece_starts[n], first.piece_starts[n + 1])
        there = slice(again.piece_starts[-2 - n], again.piece_starts[-1 - n])
        shift, other = first.text_starts[n], again.text_starts[-2 - n]
        ids, ends = whole(name, text)
        assert first.piece_ids[here].tolist() == again.piece_ids[there].tolist() == ids
        assert (first.ends[here] - shift).tolist() == (again.ends[there] - other).tolist() == ends
        assert (first.begins[here] - shift).tolist() == (again.begins[there] - other).tolist()


@pytest.mark.parametrize("name", RECIPES)
def test_pieces_stand_where_they_say(name):
    encoded = PieceEncoder(tokenizer_called(name))(ALL)
    text = "".join(ALL)
    assert (encoded.begins <= encoded.ends).all()
    assert (np.diff(encoded.ends) >= 0).all()
    covered = {i for b, e in zip(encoded.begins, encoded.ends) for i in range(b, e)}
    missed = {text[i] for i in set(range(len(text))) - covered}
    assert all(c.isspace() or not c.isprintable() or c in "\u0301\u0e47\ufe0f" for c in missed)


def test_forgetting_changes_nothing(monkeypatch):
    texts = documents(40)
    remembered = PieceEncoder(tokenizer_called("bpe"))(texts)
    monkeypatch.setattr(encoding, "_MOST_CHUNKS", 10)
    encoder = PieceEncoder(tokenizer_called("bpe"))
    found = [encoder(texts[i : i + 5]) for i in range(0, 40, 5)]
    assert np.array_equal(np.concatenate([one.piece_ids for one in found]), remembered.piece_ids)


def test_special_pieces_never_come_from_text():
    text = "[CLS] [MASK] <s> </s> <mask> <pad> <extra_id_0> [SEP]"
    for name in RECIPES:
        vocabulary = tokenizer_called(name).vocabulary
        special = set(vocabulary.special_ids) - {vocabulary.unk}
        assert not special & set(PieceEncoder(tokenizer_called(name))([text]).piece_ids.tolist())


def test_special_pieces_of_strangers_become_unknown():
    """T5's file gives special pieces the score 0, so its model finds `</s>` in running text."""
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("a", -3.0)]
    backend = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=2))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made = Tokenizer.of(backend, {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"})
    assert 1 in made.plain.encode("a </s>", add_special_tokens=False).ids
    assert 1 not in PieceEncoder(made)(["a </s>"]).piece_ids


def test_only_tokenizers_that_allow_it_are_cut():
    assert all(cuts_at_spaces(json.loads(tokenizer_called(name).file)) for name in RECIPES)
    bare = tokenizers.Tokenizer(models.BPE())
    assert not cuts_at_spaces(json.loads(bare.to_str()))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(use_regex=False)
    assert not cuts_at_spaces(json.loads(bare.to_str()))
    bare.pre_tokenizer, bare.normalizer = pre_tokenizers.ByteLevel(), normalizers.Strip()
    assert not cuts_at_spaces(json.loads(bare.to_str()))
    bare.normalizer = None
    assert cuts_at_spaces(json.loads(bare.to_str()))
    bare.add_tokens(["new york"])
    assert not cuts_at_spaces(json.loads(bare.to_str()))
