"""Preparing a store: same bytes for same texts, duplicates, what is held out, refusals, planes added
later."""

import json
import shutil
import unicodedata
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from store_fixtures import SMALL, corpus, digests, texts_of

from afterbert.base.errors import UserError
from afterbert.text.files.policy import Policy
from afterbert.text.from_paths import sources_for
from afterbert.text.planes import Plane, word_start
from afterbert.text.planes.document_start import DocumentStart
from afterbert.text.planes.sentence_start import SentenceStart
from afterbert.text.planes.word_start import CHARACTERS, WordStart
from afterbert.text.sources.jsonl import Jsonl
from afterbert.text.token_store import corpus as corpus_module
from afterbert.text.token_store import survey as survey_module
from afterbert.text.token_store.prepare import add_plane, prepare
from afterbert.text.token_store.sample import Sample
from afterbert.text.token_store.store import Store
from afterbert.text.token_store.survey import DUPLICATE
from afterbert.text.tokenizers import TokenizerRecipe
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.tokenizers.pretrained import PretrainedTokenizer
from afterbert.text.tokenizers.wordpiece import WordPiece
from invented_texts import CHINESE, documents


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(corpus_module, "_PART_BYTES", 4_000)


def contents(store, name):
    """The ids of each document of a split, as tuples."""
    split = store.split(name)
    ids, starts = split.pieces(np.arange(split.num_pieces)), split.document_starts
    return [tuple(ids[a:b].tolist()) for a, b in pairwise(starts)]


def test_same_bytes_whatever_the_parts(tmp_path, small_parts, monkeypatch):
    source = corpus(tmp_path)
    assert len(source.parts(4_000)) >= 4
    prepare([source], tmp_path / "one", tokenizer=SMALL)
    monkeypatch.setattr(corpus_module, "_PART_BYTES", 900)
    prepare([source], tmp_path / "two", tokenizer=SMALL)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_same_bytes_whatever_the_processes(tmp_path, small_parts):
    source = corpus(tmp_path, 150)
    for processes in (1, 2, 3):
        prepare([source], tmp_path / str(processes), tokenizer=SMALL, processes=processes)
    assert digests(tmp_path / "1") == digests(tmp_path / "2") == digests(tmp_path / "3")


def test_documents_stay_in_the_order_of_the_sources(tmp_path, small_parts):
    first, second = (
        corpus(tmp_path, 40, name="b.jsonl"),
        corpus(tmp_path, 0, extra=documents(9, seed=5), name="a.jsonl"),
    )
    store = prepare([first, second], tmp_path / "store", tokenizer=SMALL, held_out=0)
    wanted = [tuple(store.tokenizer.encode(text)) for text in dict(texts_of(first) + texts_of(second))]
    assert contents(store, "train") == wanted
    assert [source["name"] for source in store.manifest["sources"]] == ["b.jsonl", "a.jsonl"]


def test_equal_documents_are_kept_once(tmp_path, small_parts):
    twice = documents(30, seed=1)
    source = corpus(tmp_path, 20, extra=[*twice, *reversed(twice)])
    store = prepare([source], tmp_path / "store", tokenizer=SMALL, held_out=0)
    assert store.tally.dropped == {DUPLICATE: 30}
    assert store.tally.kept == store.split("train").num_documents == len(set(texts_of(source)))
    assert len(set(contents(store, "train"))) == store.split("train").num_documents


def test_what_is_held_out_depends_on_the_content_alone(tmp_path, small_parts):
    texts = documents(200)
    one = corpus(tmp_path, 0, extra=texts, name="one.jsonl")
    other = corpus(tmp_path, 0, extra=texts[::-1], name="other.jsonl")
    stores = [prepare([s], tmp_path / s.title[:3], tokenizer=SMALL, held_out=0.2) for s in (one, other)]
    plain = [{store.tokenizer.decode(ids) for ids in contents(store, "held_out")} for store in stores]
    assert plain[0] == plain[1]
    assert 20 < len(plain[0]) < 60
    trained = {store.tokenizer.decode(ids) for store in stores for ids in contents(store, "train")}
    assert not trained & plain[0]


def test_a_sample_of_samples_is_the_sample_of_all():
    pairs = [(int(k), f"{k:0{int(k) % 7 + 1}}") for k in np.random.default_rng(0).permutation(200)]
    whole = Sample(60)
    for key, text in pairs:
        whole.offer(key, text)
    merged = Sample(60)
    for start in range(0, 200, 30):
        part = Sample(60, merged.limit)
        for key, text in pairs[start : start + 30]:
            part.offer(key, text)
        for key, text in part.pairs():
            merged.offer(key, text)
    assert merged.texts() == whole.texts() == [text for _, text in sorted(pairs)][: len(whole.texts())]
    assert 60 <= sum(map(len, whole.texts())) < 70


SEEN: list[str] = []


@dataclass(frozen=True)
class Watched(TokenizerRecipe):
    """Makes what SMALL makes, and shows the texts it was made from."""

    most: int = 1_000_000

    def sample_bytes(self, corpus_bytes):
        return self.most

    def make(self, sample, *, corpus_bytes):
        SEEN[:] = sample
        return SMALL.make(sample, corpus_bytes=corpus_bytes)


def test_the_tokenizer_does_not_see_what_is_held_out(tmp_path):
    store = prepare([corpus(tmp_path, 100)], tmp_path / "store", tokenizer=Watched(), held_out=0.3)
    held_out = set(contents(store, "held_out"))
    assert held_out
    assert not held_out & {tuple(store.tokenizer.encode(text)) for text in SEEN}
    assert len(SEEN) == store.split("train").num_documents
    prepare([corpus(tmp_path, 100)], tmp_path / "few", tokenizer=Watched(most=2_000), held_out=0.3)
    assert 1_000 < len("".join(SEEN)) < 3_000


def test_called_again_it_opens_what_is_there(tmp_path):
    source = corpus(tmp_path)
    before = prepare([source], tmp_path / "store", tokenizer=SMALL)
    again = prepare([source], tmp_path / "store", tokenizer=SMALL, progress=_never)
    assert again.fingerprint == before.fingerprint
    for changed in ({"held_out": 0.1}, {"policy": Policy(normalization="NFKC")}, {"planes": [DocumentStart()]}):
        with pytest.raises(UserError, match=f"made with other {next(iter(changed))}"):
            prepare([source], tmp_path / "store", tokenizer=SMALL, **changed)
    corpus(tmp_path, 61)
    with pytest.raises(UserError, match="made with other sources"):
        prepare([source], tmp_path / "store", tokenizer=SMALL)


def _never(done, total, phase):
    raise AssertionError("nothing is done again")


def test_fingerprints_follow_the_content(tmp_path):
    source = corpus(tmp_path)
    base = prepare([source], tmp_path / "base", tokenizer=SMALL)
    renamed = corpus(tmp_path, name="renamed.jsonl")
    assert prepare([renamed], tmp_path / "same", tokenizer=SMALL).fingerprint == base.fingerprint
    others = [
        prepare([source], tmp_path / "a", tokenizer=SMALL, held_out=0.3),
        prepare([source], tmp_path / "b", tokenizer=SMALL, planes=[WordStart(hyphens="inside")]),
        prepare([source], tmp_path / "c", tokenizer=WordPiece(vocab_size=290, min_frequency=1, lowercase=True)),
        prepare([corpus(tmp_path, 61, name="more.jsonl")], tmp_path / "d", tokenizer=SMALL),
    ]
    assert len({base.fingerprint, *(store.fingerprint for store in others)}) == 5


def test_large_vocabularies_get_four_bytes(tmp_path, monkeypatch):
    source = corpus(tmp_path, 5)
    small = prepare([source], tmp_path / "small", tokenizer=SMALL)
    folder = tmp_path / "huge"
    small.tokenizer.save(folder)
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] |= {f"piece{n}": n for n in range(300, 70_000)}
    content["model"]["vocab"]["miller"] = 70_000
    (folder / "tokenizer.json").write_text(json.dumps(content))
    monkeypatch.setattr("afterbert.text.tokenizers._guard._try_out", lambda path: None)
    store = prepare([source], tmp_path / "store", tokenizer=PretrainedTokenizer(str(folder)))
    assert store.manifest["dtype"] == "<u4"
    ids = store.split("train").pieces(np.arange(store.split("train").num_pieces))
    assert ids.max() == 70_000
    assert store.vocabulary.size == 70_001


def test_texts_that_are_too_little_are_refused(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UserError, match="no text was found"):
        prepare(sources_for([str(tmp_path / "empty.txt")]), tmp_path / "a", tokenizer=SMALL)
    (tmp_path / "newlines.txt").write_text("\n" * 1000)
    with pytest.raises(UserError, match=r"no text was found|were dropped"):
        prepare(sources_for([str(tmp_path / "newlines.txt")]), tmp_path / "b", tokenizer=SMALL)
    (tmp_path / "short.txt").write_text("Three short words")
    with pytest.raises(UserError, match=r"make only 1?\d pieces to train on, at least 128 are needed"):
        prepare(sources_for([str(tmp_path / "short.txt")]), tmp_path / "c", tokenizer=SMALL)
    with pytest.raises(UserError, match="no sources"):
        prepare([], tmp_path / "d", tokenizer=SMALL)
    assert not list(tmp_path.glob("?/store.json"))


def test_one_document_is_all_for_training(tmp_path):
    (tmp_path / "book.txt").write_text(" ".join(documents(20)))
    store = prepare(sources_for([str(tmp_path / "book.txt")]), tmp_path / "store", tokenizer=SMALL)
    assert store.split("train").num_documents == 1
    held_out = store.split("held_out")
    assert (held_out.num_pieces, held_out.num_documents) == (0, 0)
    assert held_out.document_starts.tolist() == held_out.sentence_starts.tolist() == [0]
    assert held_out.pieces(np.zeros(0, dtype=np.int64)).shape == (0,)


def test_documents_of_which_nothing_is_left_are_counted(tmp_path):
    source = corpus(tmp_path, 30, extra=["\u200b\u200d", "\u0301\u0302"])
    store = prepare([source], tmp_path / "store", tokenizer=SMALL, held_out=0)
    assert store.tally.dropped == {"nothing left by the tokenizer": 2}
    assert (np.diff(store.split("train").document_starts) > 0).all()
    assert store.split("train").num_documents == store.tally.kept


def test_other_peoples_folders_are_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"is not empty \(thesis.txt"):
        prepare([corpus(tmp_path)], tmp_path / "mine", tokenizer=SMALL)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        prepare([corpus(tmp_path)], tmp_path / "file" / "store", tokenizer=SMALL)
    with pytest.raises(UserError, match="held_out is 2, must be between"):
        prepare([corpus(tmp_path)], tmp_path / "store", tokenizer=SMALL, held_out=2)


def test_begun_with_other_settings_it_starts_anew(tmp_path, monkeypatch):
    source = corpus(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("afterbert.text.token_store.prepare.finish", _stop)
        with pytest.raises(KeyboardInterrupt):
            prepare([source], tmp_path / "store", tokenizer=SMALL)
    with pytest.raises(UserError, match="its preparation was not finished; start it again"):
        Store.open(tmp_path / "store")
    prepare([source], tmp_path / "store", tokenizer=SMALL, held_out=0.3)
    prepare([source], tmp_path / "straight", tokenizer=SMALL, held_out=0.3)
    assert digests(tmp_path / "store") == digests(tmp_path / "straight")


def _stop(*arguments, **named):
    raise KeyboardInterrupt


def test_texts_that_change_while_they_are_read_are_noticed(tmp_path, monkeypatch):
    source = corpus(tmp_path)
    surveyed = survey_module.survey

    def then_changed(*arguments, **named):
        found = surveyed(*arguments, **named)
        path = Path(source.path)
        path.write_text(path.read_text().replace("house", "horse"))
        return found

    monkeypatch.setattr(corpus_module, "survey", then_changed)
    with pytest.raises(UserError, match="is not what it was when this was begun"):
        prepare([source], tmp_path / "store", tokenizer=SMALL)


def test_progress_rises_to_the_end_of_each_phase(tmp_path, small_parts):
    told: dict[str, list[float]] = {}
    prepare(
        [corpus(tmp_path)],
        tmp_path / "store",
        tokenizer=SMALL,
        progress=lambda done, total, phase: told.setdefault(phase, []).append(done / total),
    )
    assert list(told) == ["reading", "making the tokenizer", "encoding", "writing"]
    for shares in told.values():
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_a_plane_is_added_without_new_ids(tmp_path, small_parts):
    source = corpus(tmp_path)
    without = prepare([source], tmp_path / "store", tokenizer=SMALL, planes=[SentenceStart()], held_out=0.2)
    pieces = (tmp_path / "store" / "train" / "pieces.bin").stat().st_mtime_ns
    added = add_plane(tmp_path / "store", [source], WordStart())
    whole = prepare([source], tmp_path / "whole", tokenizer=SMALL, planes=[SentenceStart(), WordStart()], held_out=0.2)
    assert (tmp_path / "store" / "train" / "pieces.bin").stat().st_mtime_ns == pieces
    assert added.fingerprint == without.fingerprint
    for name in ("train", "held_out"):
        index = np.arange(whole.split(name).num_pieces)
        for plane in ("word_start", "sentence_start"):
            assert np.array_equal(added.split(name).plane(plane, index), whole.split(name).plane(plane, index))
    Store.open(tmp_path / "store")
    assert not (tmp_path / "store" / ".work").exists()


def test_sentences_are_indexed_when_they_are_added(tmp_path, small_parts):
    source = corpus(tmp_path)
    prepare([source], tmp_path / "store", tokenizer=SMALL, planes=[WordStart()], held_out=0.2)
    added = add_plane(tmp_path / "store", [source], SentenceStart())
    whole = prepare([source], tmp_path / "whole", tokenizer=SMALL, held_out=0.2)
    for name in ("train", "held_out"):
        assert np.array_equal(added.split(name).sentence_starts, whole.split(name).sentence_starts)
        record = added.summary()["splits"][name]
        assert record["sentences"] == len(added.split(name).sentence_starts) - 1 > 10


def test_a_plane_is_not_added_to_other_texts(tmp_path):
    source = corpus(tmp_path)
    prepare([source], tmp_path / "store", tokenizer=SMALL, planes=[DocumentStart()])
    with pytest.raises(UserError, match="has a plane 'document_start' already"):
        add_plane(tmp_path / "store", [source], DocumentStart())
    corpus(tmp_path, 61)
    with pytest.raises(UserError, match="was not made from these texts"):
        add_plane(tmp_path / "store", [source], WordStart())
    with pytest.raises(UserError, match="has no plane sentence_start"):
        _ = Store.open(tmp_path / "store").split("train").sentence_starts


def test_a_plane_is_not_added_where_the_pieces_differ_now(tmp_path, monkeypatch):
    source = corpus(tmp_path)
    prepare([source], tmp_path / "store", tokenizer=SMALL, planes=[DocumentStart()])
    monkeypatch.setattr("afterbert.text.token_store.merging.Merge.pieces_digest", lambda self, split: "other")
    with pytest.raises(UserError, match="no longer make the pieces"):
        add_plane(tmp_path / "store", [source], WordStart())
    assert tuple(Store.open(tmp_path / "store").planes) == ("document_start",)
    assert not (tmp_path / "store" / ".work").exists()


def test_what_planes_warn_of_is_said_once(tmp_path, small_parts, monkeypatch):
    monkeypatch.setattr(word_start, "_has", lambda module: False)
    source = corpus(tmp_path, 5, extra=[f"{text}{n}" for n in range(90) for text in CHINESE])
    assert len(source.parts(4_000)) > 2
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        store = prepare([source], tmp_path / "store", tokenizer=SMALL)
    assert len([one for one in said if "Chinese text" in str(one.message)]) == 1
    assert store.planes["word_start"]["settings"]["chinese"] == "characters"


@dataclass(frozen=True)
class Capitals(Plane):
    """Words in capitals as units with a type: 1 where they hold a digit, else 2."""

    width: ClassVar[int] = 4

    def __call__(self, encoded):
        text = "".join(encoded.texts)
        values = np.zeros(len(encoded.piece_ids), dtype=np.uint8)
        starts = np.flatnonzero(CHARACTERS(encoded))
        for begin, end in pairwise([*starts, len(values)]):
            word = text[encoded.begins[begin] : encoded.ends[end - 1]]
            if word.isupper():
                values[begin:end] = 2 | (1 if any(c.isdigit() for c in word) else 2) << 2
                values[begin] |= 1
        return values


def test_planes_of_units_with_types_come_back(tmp_path, small_parts):
    source = corpus(tmp_path, 30, extra=[f"NATO and B{n} met in ROME {n}" for n in range(40)])
    store = prepare([source], tmp_path / "store", tokenizer=SMALL, planes=[Capitals(), DocumentStart()])
    split = store.split("train")
    (name,) = set(split.plane_names) - {"document_start"}
    values = split.plane(name, np.arange(split.num_pieces))
    assert values.dtype == np.uint8
    digits, letters = 1 << 2, 2 << 2
    assert {int(v) for v in values} == {0, 3 | digits, 2 | digits, 3 | letters}
    inner, last = np.arange(split.num_pieces), split.document_starts[-2]
    text = store.tokenizer.decode(split.pieces(inner[last:][(values[last:] & 2) > 0]))
    assert text.startswith("nato b") and text.endswith("rome")


def test_too_many_languages_are_refused(tmp_path):
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"text": f"text {n}", "language": f"x{n:03}"}) + "\n" for n in range(257)))
    with pytest.raises(UserError, match="name 257 languages, a store holds 256; check that 'x256'"):
        prepare([Jsonl(path=str(path), language_key="language")], tmp_path / "store", tokenizer=SMALL)


def test_byte_level_text_comes_back_from_the_store(tmp_path):
    source = corpus(tmp_path)
    store = prepare([source], tmp_path / "s", tokenizer=ByteLevelBPE(vocab_size=300), held_out=0)
    wanted = [unicodedata.normalize("NFC", text) for text, _ in texts_of(source)]
    assert [store.tokenizer.decode(ids) for ids in contents(store, "train")] == wanted


def test_a_store_can_be_moved(tmp_path):
    store = prepare([corpus(tmp_path)], tmp_path / "store", tokenizer=SMALL)
    moved = Store.open(shutil.move(tmp_path / "store", tmp_path / "moved"))
    assert moved.fingerprint == store.fingerprint
    assert contents(moved, "train")
