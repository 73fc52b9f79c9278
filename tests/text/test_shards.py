"""Shards prepared apart and merged: the bytes of one preparation, and a line for whatever does not fit."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from store_fixtures import SMALL, corpus, digests

from afterbert.base.errors import UserError
from afterbert.text.files.policy import Policy
from afterbert.text.pieces.tokenizer import Tokenizer
from afterbert.text.planes.document_start import DocumentStart
from afterbert.text.planes.phrase import Phrase
from afterbert.text.planes.sentence_start import SentenceStart
from afterbert.text.planes.word_start import WordStart
from afterbert.text.sources import SourcePart
from afterbert.text.sources.folder import Folder
from afterbert.text.sources.hub import Hub
from afterbert.text.token_store import corpus as corpus_module
from afterbert.text.token_store.corpus import stamps_of
from afterbert.text.token_store.joining import merge_shards
from afterbert.text.token_store.parts import EncodePart
from afterbert.text.token_store.prepare import PLANES, add_plane, make_tokenizer, prepare
from afterbert.text.token_store.shards import Shard, prepare_shard
from afterbert.text.token_store.store import Store
from afterbert.text.token_store.workplace import locked
from afterbert.text.tokenizers import TokenizerRecipe
from invented_texts import ALL, documents


@dataclass(frozen=True)
class Ready(TokenizerRecipe):
    """A tokenizer of ours from its folder, without the looks and trials that a stranger's gets."""

    folder: str

    def sample_bytes(self, corpus_bytes):
        return 0

    def make(self, sample, *, corpus_bytes):
        return Tokenizer.load(Path(self.folder))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(corpus_module, "_PART_BYTES", 900)


@pytest.fixture
def texts(tmp_path):
    """Two sources in several languages with documents that stand in both, and phrases to find in them."""
    twice = documents(20, seed=1)
    first = corpus(tmp_path, 40, extra=[*twice, "\u200b\u200d"], name="a.jsonl")
    (tmp_path / "more").mkdir()
    corpus(tmp_path / "more", 0, extra=[*reversed(twice), *documents(30, seed=2)], name="b.jsonl")
    (tmp_path / "more" / "picture.png").write_bytes(b"")
    (tmp_path / "phrases.txt").write_text("of house\npaints clocks\n")
    return [first, Folder(path=str(tmp_path / "more"))]


@pytest.fixture
def tokenizer(tmp_path, texts):
    make_tokenizer(texts, tmp_path / "tokenizer", tokenizer=SMALL)
    return Ready(str(tmp_path / "tokenizer"))


def shards_of(texts, count, folder, tokenizer, **how):
    folders = [folder / str(number + 1) for number in range(count)]
    for number, out in enumerate(folders):
        prepare_shard(texts, out, Shard(number + 1, count), tokenizer=tokenizer, **how)
    return folders


@pytest.mark.parametrize("count", [1, 3])
def test_merged_shards_are_the_store_of_one_machine(tmp_path, texts, tokenizer, count):
    how = {
        "planes": [*PLANES, Phrase(str(tmp_path / "phrases.txt"))],
        "held_out": 0.2,
        "policy": Policy(normalization="NFKC"),
    }
    plain = prepare(texts, tmp_path / "plain", tokenizer=tokenizer, **how)
    folders = shards_of(texts, count, tmp_path / "shards", tokenizer, **how)
    merged = merge_shards(folders[::-1], tmp_path / "merged")
    assert digests(tmp_path / "merged") == digests(tmp_path / "plain")
    assert plain.tally.dropped == {"exact duplicate": 20 + len(ALL), "nothing left by the tokenizer": 1}
    assert plain.tally.passed_over == {".png": 1}
    assert merged.split("held_out").num_documents > 3 and merged.planes["phrase"]["width"] == 2
    assert merge_shards(folders, tmp_path / "merged", progress=_never).fingerprint == plain.fingerprint
    Store.open(tmp_path / "merged")


def _never(done, total, phase):
    raise AssertionError("nothing is done again")


def test_the_tokenizer_alone_is_the_one_that_prepare_trains(tmp_path, texts, tokenizer):
    trained = prepare(texts, tmp_path / "trained", tokenizer=SMALL)
    merged = merge_shards(shards_of(texts, 2, tmp_path / "shards", tokenizer), tmp_path / "merged")
    assert merged.fingerprint == trained.fingerprint
    with pytest.raises(UserError, match="is there already and not empty"):
        make_tokenizer(texts, tmp_path / "tokenizer", tokenizer=SMALL)


def test_a_plane_is_added_to_a_merged_store(tmp_path, texts, tokenizer):
    some, added = [WordStart(), DocumentStart()], SentenceStart()
    merge_shards(shards_of(texts, 2, tmp_path / "shards", tokenizer, planes=some), tmp_path / "merged")
    prepare(texts, tmp_path / "plain", tokenizer=tokenizer, planes=some)
    for store in ("merged", "plain"):
        add_plane(tmp_path / store, texts, added)
    assert digests(tmp_path / "merged") == digests(tmp_path / "plain")


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_every_part_is_in_one_shard(count):
    sizes = [5, 0, 900, 3, 3, 3, 40, 0, 1, 77]
    found = [list(Shard(number, count).parts(sizes)) for number in range(1, count + 1)]
    assert [part for parts in found for part in parts] == list(range(len(sizes)))


def test_shards_are_about_equally_large():
    for number in range(1, 9):
        assert 240 <= 2 * len(Shard(number, 8).parts([4_000_000] * 1_000)) <= 260


@pytest.mark.parametrize("written", ["0/8", "9/8", "3", "3/0", "-1/2", "a/b", "3/8/2", ""])
def test_a_shard_that_cannot_be_is_one_line(written):
    with pytest.raises(UserError, match="must be NUMBER/COUNT with NUMBER from 1 to COUNT, such as 3/8"):
        Shard.of(written)


def test_a_shard_wants_a_tokenizer_that_is_there(tmp_path, texts):
    with pytest.raises(UserError, match="make it first .*--tokenizer-only"):
        prepare_shard(texts, tmp_path / "shard", Shard(1, 2), tokenizer=SMALL)


def test_shards_that_are_missing_or_doubled_are_told(tmp_path, texts, tokenizer):
    one, two, three = shards_of(texts, 3, tmp_path / "shards", tokenizer)
    for folders, message in [
        ([two], r"missing of 3 shards: 1, 3; prepare them \(--shard 1/3\)"),
        ([one, two, three, two], "are both shard 2/3; name one of them"),
        ([], "no shards are named"),
        ([one, two, tmp_path], "holds no shard.json; name folders"),
        ([one, two, tmp_path / "nowhere"], "holds no shard.json; name folders"),
    ]:
        with pytest.raises(UserError, match=message):
            merge_shards(folders, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    with pytest.raises(UserError, match=r"it is one shard of a store; put all of them together by .*--merge"):
        Store.open(one)


def test_shards_of_other_stores_are_told(tmp_path, texts, tokenizer):
    one, two = shards_of(texts, 2, tmp_path / "shards", tokenizer)
    other = shards_of(texts, 3, tmp_path / "three", tokenizer)[1]
    strange = tmp_path / "strange"
    prepare(texts, tmp_path / "store", tokenizer=type(SMALL)(vocab_size=250, min_frequency=1)).tokenizer.save(strange)
    for number, (how, what) in enumerate(
        [
            ({"held_out": 0.3}, "held_out"),
            ({"planes": [DocumentStart()]}, "planes"),
            ({"policy": Policy(normalization="NFKC")}, "policy"),
            ({"tokenizer": Ready(str(strange))}, "tokenizer"),
        ]
    ):
        folder = tmp_path / f"other{number}"
        prepare_shard(texts, folder, Shard(2, 2), **{"tokenizer": tokenizer, **how})
        with pytest.raises(UserError, match=f"no shards of one store: other {what}; prepare all shards from"):
            merge_shards([one, folder], tmp_path / "merged")
    with pytest.raises(UserError, match="other number of shards"):
        merge_shards([one, other], tmp_path / "merged")
    with pytest.raises(UserError, match="other texts"):
        prepare_shard(texts[:1], tmp_path / "less", Shard(2, 2), tokenizer=tokenizer)
        merge_shards([one, tmp_path / "less"], tmp_path / "merged")
    assert merge_shards([one, two], tmp_path / "merged").tally.kept


def test_a_file_that_changed_between_two_shards_is_told(tmp_path, tokenizer):
    source = corpus(tmp_path, 40)
    prepare_shard([source], tmp_path / "1", Shard(1, 2), tokenizer=tokenizer)
    path = Path(source.path)
    path.write_text(path.read_text().replace("house", "horse"))
    prepare_shard([source], tmp_path / "2", Shard(2, 2), tokenizer=tokenizer)
    with pytest.raises(UserError, match=r"^texts.jsonl was another file when .*2 was prepared"):
        merge_shards([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")


def test_a_file_that_changes_while_a_shard_is_made_is_told(tmp_path, tokenizer, monkeypatch):
    source, encode = corpus(tmp_path, 40), EncodePart.__call__

    def then_changed(self, task):
        report = encode(self, task)
        path = Path(source.path)
        path.write_text(path.read_text().replace("house", "horse"))
        return report

    with monkeypatch.context() as changing:
        changing.setattr(EncodePart, "__call__", then_changed)
        with pytest.raises(UserError, match=r"texts\.jsonl is not what it was when this was begun"):
            prepare_shard([source], tmp_path / "1", Shard(1, 1), tokenizer=tokenizer)
    assert not (tmp_path / "1" / "shard.json").exists()
    prepare_shard([source], tmp_path / "1", Shard(1, 1), tokenizer=tokenizer)
    straight = prepare([source], tmp_path / "straight", tokenizer=tokenizer)
    assert merge_shards([tmp_path / "1"], tmp_path / "merged").fingerprint == straight.fingerprint


def test_a_source_that_is_no_file_has_no_stamp():
    """Such as a data set of the hub, whose revision tells what it holds."""
    hub = Hub(path="somebody/texts", text_column="text")
    assert stamps_of([SourcePart(hub, 0, None, 1)]) == {}


def test_a_damaged_shard_is_told(tmp_path, texts, tokenizer):
    folders = shards_of(texts, 2, tmp_path / "shards", tokenizer)
    damaged = next((folders[1] / "parts").glob("*/pieces"))
    damaged.write_bytes(damaged.read_bytes()[:-2])
    with pytest.raises(UserError, match=r"part-\d+ is damaged or incomplete; .* prepare shard 2/2 anew"):
        merge_shards(folders, tmp_path / "merged")
    manifest = folders[0] / "shard.json"
    manifest.write_text(manifest.read_text().replace('"held_out": 0.02', '"held_out": 0.03'))
    with pytest.raises(UserError, match="was changed after it was written"):
        merge_shards(folders, tmp_path / "merged")


def test_a_shard_whose_tokenizer_is_another_one_now_is_told(tmp_path, texts, tokenizer):
    folders = shards_of(texts, 2, tmp_path / "shards", tokenizer)
    other = make_tokenizer(texts[:1], tmp_path / "other", tokenizer=SMALL)
    assert other.digest != Tokenizer.load(folders[0] / "tokenizer").digest
    other.save(folders[0] / "tokenizer")
    with pytest.raises(UserError, match=r"tokenizer has the digest .* copy the shard again"):
        merge_shards(folders, tmp_path / "merged")
    assert not (tmp_path / "merged" / "store.json").exists()


def test_a_part_whose_report_was_changed_is_told(tmp_path, texts, tokenizer):
    folders = shards_of(texts, 2, tmp_path / "shards", tokenizer)
    report = next((folders[0] / "parts").glob("*/done.json"))
    done = json.loads(report.read_text())
    done["report"][2]["kept"] += 1
    report.write_text(json.dumps(done))
    with pytest.raises(UserError, match=r"part-\d+ is damaged or incomplete; .* prepare shard 1/2 anew"):
        merge_shards(folders, tmp_path / "merged")


def test_a_shard_holds_out_no_more_than_a_store_may(tmp_path, texts, tokenizer):
    with pytest.raises(UserError, match=r"^held_out is 0\.9, must be between 0 and 0\.5"):
        prepare_shard(texts, tmp_path / "out", Shard(1, 2), tokenizer=tokenizer, held_out=0.9)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_shard_goes_on(tmp_path, texts, tokenizer, monkeypatch):
    straight = shards_of(texts, 1, tmp_path / "straight", tokenizer)[0]
    out, read = tmp_path / "out", []

    def stop_at_third(done, total, phase):
        read.append(done)
        if len(read) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_shard(texts, out, Shard(1, 1), tokenizer=tokenizer, progress=stop_at_third)
    with pytest.raises(UserError, match="is not finished; start it again"):
        merge_shards([out], tmp_path / "merged")
    before = {path: path.stat().st_mtime_ns for path in out.glob(".work/*/part-*/done.json")}
    assert len(before) >= 3
    prepare_shard(texts, out, Shard(1, 1), tokenizer=tokenizer)
    after = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("parts/*/done.json")}
    assert all(after[path.parent.name] == time for path, time in before.items())
    assert digests(out) == digests(straight)
    prepare_shard(texts, out, Shard(1, 1), tokenizer=tokenizer, progress=_never)
    with pytest.raises(UserError, match="holds a finished shard that was made with other settings"):
        prepare_shard(texts, out, Shard(1, 1), tokenizer=tokenizer, held_out=0.1)


def test_more_shards_than_parts_leave_some_empty(tmp_path, tokenizer):
    source = corpus(tmp_path, 8, name="few.jsonl")
    folders = shards_of([source], 9, tmp_path / "shards", tokenizer)
    owned = [json.loads((folder / "shard.json").read_text())["parts"] for folder in folders]
    assert [] in owned and len(source.parts(900)) < 9
    prepare([source], tmp_path / "plain", tokenizer=tokenizer)
    merge_shards(folders, tmp_path / "merged")
    assert digests(tmp_path / "merged") == digests(tmp_path / "plain")


def test_shards_can_be_moved(tmp_path, texts, tokenizer):
    folders = shards_of(texts, 2, tmp_path / "shards", tokenizer)
    moved = [Path(shutil.move(folder, tmp_path / f"moved{folder.name}")) for folder in folders]
    assert merge_shards(moved, tmp_path / "merged").tally.kept


def test_two_processes_at_one_store_are_told(tmp_path, texts, tokenizer):
    with locked(tmp_path / "shard"), pytest.raises(UserError, match=r"^store .*shard is being written by process"):
        prepare_shard(texts, tmp_path / "shard", Shard(1, 1), tokenizer=tokenizer)
