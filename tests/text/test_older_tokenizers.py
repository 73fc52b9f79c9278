"""Tokenizers as cookbooks leave them: a vocab.txt alone, a SentencePiece model alone, a folder of 2019."""

import json
import struct
import warnings

import pytest

from afterbert.base.errors import UserError
from afterbert.text.pieces.changes import changes_of
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.text.tokenizers.wordpiece import WordPiece
from invented_texts import ALL, tokenizer_called

SPECIAL = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "[PAD]"]
CASED = [*SPECIAL, "Er", "möchte", "mochte", "über", "die", "##n", "."]
SMALL = [*SPECIAL, "er", "möchte", "uber", "."]


def vocabulary(folder, pieces, **said):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    if said:
        (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return PretrainedTokenizer(str(folder))


def made_telling(recipe):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        return recipe.make(), [str(one.message) for one in said]


def test_case_follows_from_the_pieces_and_is_told(tmp_path):
    made, [said] = made_telling(vocabulary(tmp_path / "cased", CASED))
    assert "have capital letters, so case is kept" in said
    assert made.backend.encode("Er möchte.").tokens == ["[CLS]", "Er", "möchte", ".", "[SEP]"]
    assert [made.backend.token_to_id(piece) for piece in CASED] == list(range(len(CASED)))
    assert made.vocabulary.pad == 4 and made.vocabulary.unk == 0
    made, [said] = made_telling(vocabulary(tmp_path / "small", SMALL))
    assert "no capital letters, so text is lower-cased, and accented ones, so accents are kept" in said
    assert made.backend.encode("ER MÖCHTE").tokens == ["[CLS]", "er", "möchte", "[SEP]"]


def test_a_piece_may_be_a_line_end_of_unicode(tmp_path):  # as in Chinese BERT
    pieces = [*SPECIAL, "\u2028", "\x85", "a", "b"]
    made = vocabulary(tmp_path, pieces, do_lower_case=True).make()
    assert [made.backend.token_to_id(piece) for piece in pieces] == list(range(len(pieces)))


def test_what_the_config_says_of_case_is_done(tmp_path):
    made, said = made_telling(vocabulary(tmp_path / "told", CASED, do_lower_case=True))
    assert said == [] and made.backend.encode("MÖCHTE").tokens == ["[CLS]", "mochte", "[SEP]"]
    config = tmp_path / "old" / "config.json"
    recipe = vocabulary(tmp_path / "old", CASED)
    config.write_text(json.dumps({"model_type": "bert"}))
    made, said = made_telling(recipe)
    assert len(said) == 1 and "möchte" in made.backend.encode("Er möchte").tokens
    assert made_telling(PretrainedTokenizer(str(tmp_path / "told" / "vocab.txt")))[0].vocabulary.size == 12


def test_a_vocabulary_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"has no \[UNK\] and no \[CLS\] and no \[SEP\]"):
        vocabulary(tmp_path / "other", ["a", "b"]).make()


def field(number, value):
    if isinstance(value, bytes):
        return bytes([number << 3 | 2, len(value)]) + value
    return bytes([number << 3, value])


def spiece(pieces, model=1):
    found = b""
    for text, score, kind in pieces:
        found += field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + field(3, kind))
    return found + field(2, field(3, model)) + field(3, field(3, 1) + field(4, 1))


ENDS = [("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2)]
LETTERS = [(letter, -9.0 - n, 1) for n, letter in enumerate("▁thecaö.")]


@pytest.fixture
def model(tmp_path):
    (tmp_path / "spiece.model").write_bytes(spiece([*ENDS, ("▁the", -1.0, 1), ("▁c", -2.0, 1), *LETTERS]))
    return tmp_path


def test_a_sentencepiece_model_alone_is_read(model):
    for name in (model, model / "spiece.model"):
        made = PretrainedTokenizer(str(name)).make()
        assert made.backend.encode("the  cat ö").tokens == ["▁the", "▁c", "a", "t", "▁", "ö", "</s>"]
        assert made.decode(made.encode("the cat ö")) == "the cat ö"
        known = made.vocabulary
        assert (known.pad, known.eos, known.unk, known.mask, known.sentinels) == (0, 1, 2, None, ())


def test_t5s_own_class_brings_its_sentinels(model):
    (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 3}))
    known = PretrainedTokenizer(str(model)).make().vocabulary
    assert known.sentinels == (15, 14, 13)


def test_a_sentencepiece_model_of_pairs_merges_in_the_order_of_scores(tmp_path):
    pairs = [("▁t", -0.0, 1), ("he", -1.0, 1), ("▁the", -2.0, 1)]
    (tmp_path / "m.model").write_bytes(spiece([*ENDS, *pairs, *LETTERS], model=2))
    made = PretrainedTokenizer(str(tmp_path / "m.model")).make()
    assert made.backend.encode("the heat").tokens == ["▁the", "▁", "he", "a", "t", "</s>"]


@pytest.mark.parametrize("raw", [b"\xff" * 40, b"text, no model at all", b"\x0a\x7f", b"\x12\x02\x18\x01"])
def test_a_damaged_model_is_one_line(tmp_path, raw):
    (tmp_path / "m.model").write_bytes(raw)
    with pytest.raises(UserError, match="is no SentencePiece model, or a damaged one"):
        PretrainedTokenizer(str(tmp_path / "m.model")).make()


def test_a_folder_of_2019_becomes_one_that_pretrain_takes(tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import BertConfig, BertForMaskedLM

    from afterbert.interop.checkpoint import convert_checkpoint
    from afterbert.interop.loading import load_model

    vocabulary(tmp_path / "old", CASED)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(CASED), **sizes)
    torch.save(BertForMaskedLM(config).state_dict(), tmp_path / "old" / "pytorch_model.bin")
    config.save_pretrained(tmp_path / "old")
    with pytest.warns(UserWarning, match="case is kept"):
        convert_checkpoint(tmp_path / "old" / "pytorch_model.bin", tmp_path / "new")
    assert load_model(tmp_path / "new").tokenizer.encode("Er möchte") == [5, 6]


def test_what_a_tokenizer_changes_is_counted_by_script():
    counts = {ord(c): 1 for c in "AbÉéЖжйक\u0947我你ａ1."}
    lower = WordPiece(vocab_size=200, min_frequency=1, lowercase=True).make(ALL, corpus_bytes=999)
    assert changes_of(lower, counts) == {"Latin": [3, 5], "Cyrillic": [2, 3], "Devanagari": [1, 2]}
    for name in ("characters", "bpe"):
        made: Tokenizer = tokenizer_called(name)
        assert changes_of(made, counts) == {}
    assert changes_of(tokenizer_called("unigram"), counts) == {"Latin": [1, 5]}
