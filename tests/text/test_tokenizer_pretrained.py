"""Tokenizers from elsewhere: read as they are, or refused in one line."""

import json

import pytest

from afterbert.base.errors import UserError
from afterbert.text.pieces.encoding import PieceEncoder
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.tokenizers import _guard
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from invented_texts import ALL, tokenizer_called


def written(folder, content, *, name="tokenizer.json"):
    folder.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return PretrainedTokenizer(str(folder))


@pytest.fixture
def content():
    return json.loads(tokenizer_called("wordpiece").file)


@pytest.fixture
def untried(monkeypatch):
    monkeypatch.setattr(_guard, "_try_out", lambda path: None)


def test_a_saved_tokenizer_is_read_as_it_is(tmp_path):
    for name in ("bpe", "unigram_lower"):
        tokenizer_called(name).save(tmp_path / name)
        made = PretrainedTokenizer(str(tmp_path / name)).make()
        assert made.digest == tokenizer_called(name).digest
        assert made.vocabulary == tokenizer_called(name).vocabulary


def test_parts_need_not_say_their_type(tmp_path, untried):
    """The library knows some by their other fields; pieces and what they spell are those of the whole file."""
    content = json.loads(tokenizer_called("bpe").file)
    replaces = {"type": "Replace", "pattern": {"String": "\u2019"}, "content": "'"}
    content["normalizer"] = {"type": "Sequence", "normalizers": [replaces, {"type": "NFC"}]}
    whole = written(tmp_path / "whole", content).make()
    for part in (replaces, content["normalizer"], content["model"]):
        del part["type"]
    made = written(tmp_path / "part", content).make()
    texts = ["Góðan  dag", "नमस्ते दुनिया", "你好"]
    ours, theirs = (PieceEncoder(one)(texts) for one in (made, whole))
    assert ours.piece_ids.tolist() == theirs.piece_ids.tolist()
    assert made.content == whole.content


def test_names_of_special_pieces_are_found_where_no_file_says_them(tmp_path, content, untried):
    made = written(tmp_path, content).make()
    assert made.vocabulary.mask == 4
    assert (made.vocabulary.cls, made.vocabulary.sep, made.vocabulary.eos) == (2, 3, None)


def test_names_of_special_pieces_may_be_objects(tmp_path, content, untried):
    written(tmp_path, {"mask_token": {"content": "[PAD]", "lstrip": True}}, name="tokenizer_config.json")
    assert written(tmp_path, content).make().vocabulary.mask == 0


def test_a_special_piece_that_is_not_there_is_named(tmp_path, content, untried):
    written(tmp_path, {"mask_token": "<nothing>"}, name="tokenizer_config.json")
    with pytest.raises(UserError, match="mask_token is '<nothing>'"):
        _ = written(tmp_path, content).make().vocabulary


def deep(levels):
    return '{"model":{"a":' + "[" * levels + "]" * levels + "}}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no tokenizer"),
        ('{"model": 3}', "holds no tokenizer"),
        ('{"model": {}, "added_tokens": true}', "no list of objects under added_tokens"),
        (deep(100_000), "nested too deep"),
        (deep(60), "nested deeper"),
    ],
    ids=["cut", "list", "number", "no list of added tokens", "very deep", "deep"],
)
def test_what_is_no_tokenizer_is_refused(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        written(tmp_path, text).make()


def test_long_patterns_are_not_run(tmp_path, content):
    split = {"type": "Split", "pattern": {"Regex": "a?" * 15_000}, "behavior": "Isolated", "invert": False}
    with pytest.raises(UserError, match="a pattern of 30,000 characters"):
        written(tmp_path, content | {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split]}}).make()
    replace = {"type": "Replace", "pattern": {"String": "a" * 30_000}, "content": ""}
    with pytest.raises(UserError, match="a pattern of 30,000 characters"):
        written(tmp_path, content | {"normalizer": replace}).make()


def test_large_files_are_not_read(tmp_path, content, monkeypatch):
    monkeypatch.setattr(_guard, "_MOST_BYTES", 1000)
    with pytest.raises(UserError, match="more than the 1,000"):
        written(tmp_path, content).make()


@pytest.mark.fault
@pytest.mark.parametrize(
    "changed",
    [
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}},
        {"model": {"type": "Unigram", "unk_id": 99, "vocab": [["a", -1.0]]}},
        {"model": {"type": "WordPiece", "vocab": {"a": 99999999999}}},
    ],
    ids=["panic", "unknown piece", "number too large"],
)
def test_what_the_library_cannot_run_is_refused(tmp_path, content, changed):
    with pytest.raises(UserError, match="does not work with the tokenizers library"):
        written(tmp_path, content | changed).make()


@pytest.mark.fault
def test_what_takes_too_long_or_too_much_is_refused(tmp_path, content, monkeypatch):
    monkeypatch.setattr(_guard, "_SECONDS", 0.01)
    with pytest.raises(UserError, match="did not end"):
        written(tmp_path, content).make()
    monkeypatch.setattr(_guard, "_SECONDS", 30)
    monkeypatch.setattr(_guard, "_MEMORY_BYTES", 1 << 20)
    with pytest.raises(UserError, match="does not work with the tokenizers library"):
        written(tmp_path, content).make()


def test_older_files_are_converted(tmp_path):
    tokenizer = tokenizer_called("wordpiece")
    pieces = sorted(tokenizer.backend.get_vocab().items(), key=lambda item: item[1])
    (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in pieces), encoding="utf-8")
    written(tmp_path, {"tokenizer_class": "BertTokenizer", "do_lower_case": True}, name="tokenizer_config.json")
    made = PretrainedTokenizer(str(tmp_path)).make()
    assert isinstance(made, Tokenizer)
    assert made.vocabulary.mask == tokenizer.vocabulary.mask
    assert [made.encode(text) for text in ALL] == [tokenizer.encode(text) for text in ALL]


def test_folders_and_names_without_a_tokenizer_are_named(tmp_path):
    with pytest.raises(UserError, match="tokenizer: there is no folder"):
        PretrainedTokenizer(str(tmp_path / "missing")).make()
    with pytest.raises(UserError, match="none can be made from its other files"):
        PretrainedTokenizer(str(tmp_path)).make()
    with pytest.raises(UserError, match="nor could it be fetched"):
        PretrainedTokenizer("some-one/some-tokenizer").make()
