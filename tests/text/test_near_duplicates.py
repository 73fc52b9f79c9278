"""Near duplicates are dropped and counted, the same for any order, parts and shards."""

import json

import numpy as np
import pytest
from store_fixtures import SMALL, digests
from test_shards import Ready, shards_of

from afterbert.base.errors import UserError
from afterbert.text.files.policy import Policy
from afterbert.text.sources.jsonl import Jsonl
from afterbert.text.token_store import corpus as corpus_module
from afterbert.text.token_store import near_duplicates as near_module
from afterbert.text.token_store.joining import merge_shards
from afterbert.text.token_store.near_duplicates import sketches_of
from afterbert.text.token_store.prepare import make_tokenizer, prepare
from invented_texts import documents

pytest.importorskip("rensa", reason="pip install 'afterbert[dedup]'")

TEXTS = [" ".join(documents(9, seed=number)) for number in range(30)]
# One word of some four hundred is another; the same with a line before it; the beginning only.
NEAR = [text.replace("Chapter 3", "Section 3") for text in TEXTS[:5]]
LONGER = [f"Reprinted with permission. {text}" for text in TEXTS[5:8]]
HALVES = [text[: len(text) // 2] for text in TEXTS[8:12]]
POLICY = Policy(near_duplicates=0.8)


def source(folder, texts, name="a.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return Jsonl(path=str(path))


def kept(store):
    return {
        store.tokenizer.decode(split.pieces(np.arange(begin, end)))
        for split in map(store.split, ("train", "held_out"))
        for begin, end in zip(split.document_starts, split.document_starts[1:])
    }


def test_near_duplicates_go_and_the_longest_stays(tmp_path):
    texts = [*TEXTS, *NEAR, *LONGER, *HALVES]
    store = prepare([source(tmp_path, texts)], tmp_path / "a", tokenizer=SMALL, policy=POLICY)
    assert store.tally.dropped == {"near duplicate": 8} and store.tally.kept == 34
    assert sum("reprinted with permission" in text for text in kept(store)) == 3
    turned = prepare([source(tmp_path, texts[::-1], "b.jsonl")], tmp_path / "b", tokenizer=SMALL, policy=POLICY)
    assert kept(turned) == kept(store)
    all_of_them = prepare([source(tmp_path, texts)], tmp_path / "c", tokenizer=SMALL)
    assert all_of_them.tally.kept == len(texts)


def test_shards_drop_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "_PART_BYTES", 4_000)
    texts = [source(tmp_path, [*TEXTS, *NEAR, *LONGER])]
    make_tokenizer(texts, tmp_path / "tokenizer", tokenizer=SMALL, policy=POLICY)
    ready = Ready(str(tmp_path / "tokenizer"))
    prepare(texts, tmp_path / "plain", tokenizer=ready, policy=POLICY)
    merge_shards(shards_of(texts, 2, tmp_path / "shards", ready, policy=POLICY), tmp_path / "merged")
    assert digests(tmp_path / "plain") == digests(tmp_path / "merged")


def test_texts_without_spaces_are_compared_by_characters():
    thai = "ภาษาไทยไม่มีช่องว่างระหว่างคำกำลังเรียนที่น้ำ" * 8
    one, near, other = sketches_of([thai, thai + "จบ", "我们今天在北京大学学习自然语言处理天气很好" * 20])
    assert (one == near).mean() > 0.8 > 0.2 > (one == other).mean()


def test_without_rensa_it_is_one_line(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rensa", None)
    with pytest.raises(UserError, match=r"pip install 'afterbert\[dedup\]'"):
        near_module.sketches_of(["a"])
