"""Reading a store: the same pieces and planes as straight from the text, and damage named."""

import json
import pickle
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_fixtures import SMALL, corpus, texts_of

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.base.sealed import sealed
from afterbert.text.pieces.encoding import PieceEncoder
from afterbert.text.token_store import array_files
from afterbert.text.token_store.array_files import PackedFile, mapped, pack, unpack
from afterbert.text.token_store.prepare import PLANES, prepare
from afterbert.text.token_store.store import FILE, Store


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    source = corpus(folder)
    return source, prepare([source], folder / "store", tokenizer=SMALL, held_out=0.3)


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made[1].folder, tmp_path / "copy")


def written_again(store, manifest):
    (store / FILE).write_text(json.dumps(sealed(manifest)))


def documents_of(store, name):
    split = store.split(name)
    starts = split.document_starts
    for n in range(split.num_documents):
        index = np.arange(starts[n], starts[n + 1])
        yield split.pieces(index), {p: split.plane(p, index) for p in split.plane_names}, split.languages[n]


def test_every_document_is_there_once_with_its_planes(made):
    source, store = made
    wanted = {}
    for text, language in texts_of(source):
        encoded = PieceEncoder(store.tokenizer)([text], [language])
        planes = {plugins.name_of(plane): plane(encoded) for plane in PLANES}
        wanted[tuple(encoded.piece_ids.tolist())] = (planes, language, text)
    seen = []
    for name in ("train", "held_out"):
        for ids, planes, code in documents_of(store, name):
            expected, language, text = wanted[tuple(ids.tolist())]
            assert store.languages[code] == language
            assert set(planes) == set(expected) == {"word_start", "sentence_start", "document_start"}
            for plane in planes:
                assert np.array_equal(planes[plane], expected[plane])
            assert store.tokenizer.decode(ids) == store.tokenizer.decode(store.tokenizer.encode(text))
            seen.append(text)
    assert sorted(seen) == sorted(text for _, _, text in wanted.values())


@pytest.mark.parametrize("name", ["train", "held_out"])
def test_indexes_agree_with_the_planes(made, name):
    split = made[1].split(name)
    everything = np.arange(split.num_pieces)
    documents, sentences = split.document_starts, split.sentence_starts
    assert documents[0] == sentences[0] == 0
    assert documents[-1] == sentences[-1] == split.num_pieces
    assert len(documents) == split.num_documents + 1 == len(split.languages) + 1
    assert np.array_equal(documents[:-1], np.flatnonzero(split.plane("document_start", everything)))
    assert np.array_equal(sentences[:-1], np.flatnonzero(split.plane("sentence_start", everything)))
    assert set(documents) <= set(sentences)
    assert split.pieces(everything).dtype == np.int32
    assert split.pieces(np.array([], dtype=np.int64)).shape == (0,)


def test_any_index_is_answered(made):
    split = made[1].split("train")
    everything = np.arange(split.num_pieces)
    index = np.random.default_rng(0).integers(0, split.num_pieces, (7, 31))
    assert np.array_equal(split.pieces(index), split.pieces(everything)[index])
    assert np.array_equal(split.plane("word_start", index), split.plane("word_start", everything)[index])


def test_a_split_travels_light(made):
    split = made[1].split("train")
    split.pieces(np.arange(5)), split.document_starts, split.plane("word_start", np.arange(5))
    again = pickle.loads(pickle.dumps(split))  # noqa: S301  our own bytes
    assert len(pickle.dumps(split)) < 2_000
    assert np.array_equal(again.pieces(np.arange(50)), split.pieces(np.arange(50)))
    assert np.array_equal(again.document_starts, split.document_starts)
    assert again.fingerprint == split.fingerprint


def test_counts_and_summary(made):
    source, store = made
    summary = store.summary()
    count = len(texts_of(source))
    splits = summary["splits"]
    assert splits["train"]["documents"] + splits["held_out"]["documents"] == count
    assert summary["sources"] == [{"name": "texts.jsonl", "bytes": summary["tally"]["bytes"], "documents": count}]
    assert summary["tokenizer"]["kind"] == "wordpiece"
    assert splits["train"]["pieces"] == store.split("train").num_pieces
    by_language = [split["languages"].values() for split in splits.values()]
    assert sum(one["documents"] for languages in by_language for one in languages) == count
    assert store.tally.kept == count
    json.dumps(summary)


def test_unknown_names_are_refused(made):
    store = made[1]
    with pytest.raises(UserError, match=r"no split 'trian'; did you mean 'train'"):
        store.split("trian")
    with pytest.raises(UserError, match=r"no plane 'word_starts' \(did you mean 'word_start'"):
        store.split("train").plane("word_starts", np.arange(3))


def test_a_whole_store_passes(made):
    assert Store.open(made[1].folder).fingerprint == made[1].fingerprint


def test_damage_to_the_ids_explains_whatever_came_of_it(copy):
    path = copy / "train" / "pieces.bin"
    ids = bytearray(path.read_bytes())
    ids[len(ids) // 2] ^= 128
    path.write_bytes(ids)
    manifest = json.loads((copy / FILE).read_text())  # as of a file whose ends do not overlap
    manifest["files"]["train/pieces.bin"]["ends"] = array_files._ends_digest(path, len(ids))
    written_again(copy, manifest)
    opened = Store.open(copy, wait=False)
    with pytest.raises(UserError, match=r"pieces.bin was changed"), opened.verification.explains():
        raise IndexError("a foreign id")
    with pytest.raises(UserError, match=r"pieces.bin was changed"):
        opened.verification.wait()


def files_of(store):
    return sorted(p for p in store.rglob("*") if p.is_file() and p.name != ".lock" and p.stat().st_size)


def test_every_truncated_file_is_named(copy):
    for path in files_of(copy):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match=path.name):
            opened = Store.open(copy)
            _ = opened.vocabulary
        path.write_bytes(whole)
    assert Store.open(copy).vocabulary.size


def test_sizes_are_told(copy):
    path = copy / "train" / "pieces.bin"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(UserError, match=rf"pieces.bin has {size - 2:,} bytes, store.json says {size:,}"):
        Store.open(copy)


def test_every_missing_file_is_named(copy):
    for path in files_of(copy):
        path.rename(copy / "aside")
        with pytest.raises(UserError, match=path.name):
            opened = Store.open(copy)
            _ = opened.vocabulary
        (copy / "aside").rename(path)


def test_every_flipped_bit_is_found(copy):
    draw = np.random.default_rng(3)
    for path in files_of(copy):
        whole = path.read_bytes()
        for _ in range(3):
            flipped = bytearray(whole)
            flipped[draw.integers(len(whole))] ^= 1 << draw.integers(8)
            path.write_bytes(flipped)
            with pytest.raises(UserError, match=path.name if path.parent.name != "tokenizer" else "tokenizer"):
                opened = Store.open(copy)
                _ = opened.vocabulary
            path.write_bytes(whole)


def test_swapped_files_are_found(copy):
    one, other = (copy / split / "planes" / "word_start.bin" for split in ("train", "held_out"))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second), other.write_bytes(first)
    with pytest.raises(UserError, match=r"word_start\.bin"):
        Store.open(copy)


def test_another_tokenizer_is_refused(copy):
    opened = Store.open(copy)
    path = copy / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text().replace('"miller"', '"mlller"'))
    with pytest.raises(UserError, match="not the tokenizer of this store"):
        _ = opened.tokenizer
    with pytest.raises(UserError, match=r"tokenizer.json was changed"):
        Store.open(copy)


def test_newer_and_foreign_manifests_are_refused(copy, tmp_path):
    manifest = json.loads((copy / FILE).read_text())
    written_again(copy, manifest | {"format": 99})
    with pytest.raises(UserError, match="format 99, made by a newer version"):
        Store.open(copy)
    (copy / FILE).write_text("[]")
    with pytest.raises(UserError, match=r"no store.json of afterbert"):
        Store.open(copy)
    (copy / FILE).write_text("{" * 100_000)
    with pytest.raises(UserError, match="is not JSON"):
        Store.open(copy)
    with pytest.raises(UserError, match=r"does not exist; name a folder that `afterbert prepare` made"):
        Store.open(tmp_path)


def test_a_changed_manifest_is_refused(copy):
    manifest = json.loads((copy / FILE).read_text())
    manifest["splits"]["train"]["pieces"] += 1
    (copy / FILE).write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="was changed after it was written"):
        Store.open(copy)


@given(values=st.lists(st.integers(0, 255), max_size=70), width=st.sampled_from([1, 2, 4, 8]))
def test_packed_values_come_back(values, width):
    values = np.array(values, dtype=np.uint8) & ((1 << width) - 1)
    packed = pack(values, width)
    assert len(packed) == -(-len(values) * width // 8)
    assert np.array_equal(unpack(packed, np.arange(len(values)), width), values)


@given(blocks=st.lists(st.lists(st.integers(0, 3), max_size=9), max_size=9))
def test_packing_in_blocks_is_packing_at_once(tmp_path_factory, blocks):
    path = tmp_path_factory.mktemp("packed") / "p.bin"
    shard = PackedFile(path, width=2)
    for block in blocks:
        shard.append(np.array(block, dtype=np.uint8))
    record = shard.close()
    values = np.array([value for block in blocks for value in block], dtype=np.uint8)
    assert np.array_equal(mapped(path, "u1"), pack(values, 2))
    assert record["size"] == len(pack(values, 2))
