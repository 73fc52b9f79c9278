"""Token files as datatrove writes them: the store is that of the texts, without tokenizing again."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from store_fixtures import corpus, digests, texts_of

from afterbert.base.errors import UserError
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.from_paths import piece_recipe_of, sources_for
from afterbert.text.pieces.decoding import PieceDecoder
from afterbert.text.pieces.encoding import PieceEncoder
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.planes.phrase import Phrase
from afterbert.text.planes.word_start import WordStart
from afterbert.text.reading import read
from afterbert.text.sources.datatrove import Datatrove
from afterbert.text.token_store.joining import merge_shards
from afterbert.text.token_store.prepare import PLANES, prepare
from afterbert.text.token_store.shards import Shard, prepare_shard
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.text.tokenizers.unigram import Unigram
from afterbert.text.tokenizers.wordpiece import WordPiece
from invented_texts import ALL, documents

KINDS = {
    "byte_level_bpe": ByteLevelBPE(vocab_size=400),
    "unigram": Unigram(vocab_size=300),
    "wordpiece": WordPiece(vocab_size=300, min_frequency=1, lowercase=True),
}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("afterbert.text.tokenizers._guard._try_out", lambda path: None)  # takes a process


def made(kind: str) -> Tokenizer:
    """A tokenizer of this kind, saved in the folder of its name."""
    texts = [unicodedata.normalize("NFC", text) for text in (*ALL, *documents(60))] * 2
    tokenizer = KINDS[kind].make(texts, corpus_bytes=200_000)
    tokenizer.save(Path(kind))
    return tokenizer


def write(name: str, ids: list[list[int]], *, named: str | None = None, dtype: str = "<u2") -> Datatrove:
    """Files by the format's definition: pieces, ends of documents, and the metadata's three lines."""
    np.concatenate([*ids, []]).astype(dtype).tofile(name)
    np.cumsum([len(one) for one in ids]).astype("<u8").tofile(name + ".index")
    if named:
        total = sum(map(len, ids))
        Path(name + ".metadata").write_text(f"{named}|{np.dtype(dtype).itemsize}\n{total}\n{total / 1000}K")
    return Datatrove(name)


def with_end(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    end = next(i for i in (tokenizer.vocabulary.eos, tokenizer.vocabulary.sep) if i is not None)
    return [[*tokenizer.encode(text), end] for text in texts]


@pytest.mark.parametrize("kind", KINDS)
def test_decoded_pieces_have_the_places_of_encoded_ones(kind):
    tokenizer = made(kind)
    texts = [unicodedata.normalize("NFC", text) for text in (*documents(8, seed=3), *ALL)]
    if kind != "byte_level_bpe":  # the others do not keep every character, and white space only as one space
        texts = [" ".join(text.split()) for text in documents(8, seed=3)]
    encoded = PieceEncoder(tokenizer)(texts)
    ids = np.split(encoded.piece_ids, encoded.piece_starts[1:-1])
    decoded = PieceDecoder(tokenizer)(ids)
    assert np.array_equal(decoded.piece_ids, encoded.piece_ids)
    assert np.array_equal(decoded.piece_starts, encoded.piece_starts)
    for plane in PLANES if kind != "wordpiece" else [WordStart()]:
        assert np.array_equal(plane(decoded), plane(encoded)), plane
    if kind != "wordpiece":
        assert decoded.texts == encoded.texts
        assert np.array_equal(decoded.ends, encoded.ends) and np.array_equal(decoded.begins, encoded.begins)
    else:
        assert decoded.texts[0].split()[:3] == ["chapter", "0.", "the"]


def test_the_store_is_that_of_the_texts(monkeypatch):
    monkeypatch.setattr("afterbert.text.token_store.corpus._PART_BYTES", 2_000)
    tokenizer, source = made("byte_level_bpe"), corpus(Path(), extra=documents(20, seed=1))
    texts = [unicodedata.normalize("NFC", text) for text, _ in texts_of(source)]
    texts += texts[10:20]
    ids = with_end(tokenizer, texts)
    write("a.ds", ids[:30], named="byte_level_bpe")
    write("b.ds", ids[30:], named="byte_level_bpe", dtype="<u4")
    sources = sources_for(["a.ds", "b.ds"])
    assert len(sources[0].parts(2_000)) > 1
    recipe = piece_recipe_of(sources)
    assert recipe == PretrainedTokenizer("byte_level_bpe")
    Path("phrases.txt").write_text("paints clocks\n")
    how = {"planes": [*PLANES, Phrase("phrases.txt")], "held_out": 0.2}
    store = prepare(sources, Path("store"), tokenizer=recipe, **how)
    Path("texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    plain = prepare(sources_for(["texts.jsonl"]), Path("plain"), tokenizer=recipe, **how)
    assert store.fingerprint == plain.fingerprint
    assert store.tally.dropped == plain.tally.dropped == {"exact duplicate": 10}
    assert store.split("held_out").num_documents > 3

    shards = [Path("shards", str(n)) for n in (1, 2, 3)]
    for number, out in enumerate(shards, start=1):
        prepare_shard(sources, out, Shard(number, 3), tokenizer=recipe, **how)
    merge_shards(shards, Path("merged"))
    assert digests(Path("merged")) == digests(Path("store"))


def test_what_lies_beside_token_files_is_not_passed_over(tmp_path):
    (tmp_path / "tokens").mkdir()
    write("tokens/a.ds", with_end(made("wordpiece"), documents(5)), named="wordpiece")
    Path("tokens/a.ds.loss").write_bytes(b"1")
    tally = Tally()
    assert len(list(read(sources_for(["tokens"]), tally=tally))) == 5
    assert tally.passed_over == {".loss": 1}


def test_long_documents_are_cut_between_characters():
    tokenizer = made("byte_level_bpe")
    whole = "日本語の文 and naïve words. " * 40
    source = write("a.ds", with_end(tokenizer, [whole, "short"]), named="byte_level_bpe")
    pieces = [document.text for document in read([source], Policy(max_document_bytes=150))]
    assert "".join(pieces[:-1]) == whole and pieces[-1] == "short"
    assert len(pieces) > 8 and max(len(piece.encode()) for piece in pieces) < 300


def test_unknown_pieces_stay_and_special_ones_go():
    tokenizer = made("wordpiece")
    ids = tokenizer.encode("The gull \U00010400 paints clocks")
    assert tokenizer.vocabulary.unk in ids
    inner = [tokenizer.vocabulary.cls, *ids[:2], tokenizer.vocabulary.sep, *ids[2:], tokenizer.vocabulary.sep]
    source = write("a.ds", [inner], named="wordpiece")
    tally = Tally()
    [document] = read([source], tally=tally)
    assert np.frombuffer(document.piece_ids, "<i4").tolist() == ids
    assert document.text == "the gull \ufffd paints clocks"
    assert tally.repaired == {"special pieces within documents, left out": 1}


def test_half_characters_follow_the_policy():
    tokenizer = made("byte_level_bpe")
    ids = with_end(tokenizer, ["one text", "日本", "another text"])
    ids[1] = ids[1][1:]
    source = write("a.ds", ids, named="byte_level_bpe")
    with pytest.raises(UserError, match=r"a.ds \(document 1\): its pieces are no UTF-8"):
        list(read([source]))
    kept = [d.text for d in read([source], Policy(errors="skip-document", max_dropped_share=0.5))]
    assert kept == ["one text", "another text"]
    replaced = [d.text for d in read([source], Policy(errors="replace"))]
    assert len(replaced) == 3 and replaced[1].endswith("本") and "\ufffd" in replaced[1]


def test_what_does_not_fit_is_one_line():
    tokenizer = made("byte_level_bpe")
    texts = documents(10)
    good = write("a.ds", with_end(tokenizer, texts), named="byte_level_bpe")
    assert good.parts(10**9)
    made("unigram")
    write("none.ds", with_end(tokenizer, texts))
    write("high.ds", [*with_end(tokenizer, texts), [1, 5_000]], named="byte_level_bpe")
    for name in ("cut", "lone", "odd"):
        write(f"{name}.ds", with_end(tokenizer, texts), named="byte_level_bpe")
    Path("cut.ds").write_bytes(Path("cut.ds").read_bytes()[:-2])
    Path("lone.ds.index").unlink()
    Path("odd.ds.index").write_bytes(b"123")
    for name, message in [
        ("none.ds", "none.ds does not say which tokenizer made its pieces; name it by --tokenizer"),
        ("cut.ds", "cut.ds has .* bytes, but its index ends at .* pieces of 2 or 4 bytes"),
        ("lone.ds", "lone.ds.index does not exist, so where documents end is unknown"),
        ("odd.ds", "odd.ds.index has 3 bytes, no multiple of 8"),
        ("high.ds", r"high.ds \(document 10\): piece 5000 is not in the tokenizer, which has 4"),
    ]:
        with pytest.raises(UserError, match=message):
            list(read([Datatrove(name)]))
    with pytest.raises(UserError, match="a.ds holds pieces of another tokenizer than the store's"):
        prepare([good], Path("store"), tokenizer=PretrainedTokenizer("unigram"))
    [asked] = sources_for(["none.ds"], tokenizer="byte_level_bpe")
    assert [d.text for d in read([asked])] == texts


def test_a_tokenizer_that_cannot_be_undone_is_refused():
    tokenizer = made("unigram")
    file = json.loads(tokenizer.file)
    file["decoder"] = {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}
    with pytest.raises(UserError, match=r"pieces \(CTC\) cannot be turned back into text"):
        PieceDecoder(Tokenizer(json.dumps(file), tokenizer.settings))
