"""What is held out: a share of the bytes, in sections of long documents, by their contents alone."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from store_fixtures import SMALL, digests
from test_shards import Ready, shards_of

from afterbert.text.from_paths import piece_recipe_of, sources_for
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store import corpus as corpus_module
from afterbert.text.token_store.joining import merge_shards
from afterbert.text.token_store.prepare import make_tokenizer, prepare
from afterbert.text.token_store.sections import (
    DROPPED,
    HELD_OUT,
    LONG_DOCUMENT_BYTES,
    SECTION_BYTES,
    TRAIN,
    Contents,
    SectionRuns,
    sections_of,
)
from afterbert.text.tokenizers.bpe import BPE
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.stores import changed_by_tokenizer, prepared
from invented_texts import documents


def novel(paragraphs, seed=0, between="\n\n"):
    return between.join(documents(paragraphs, seed=seed))


def fates_of(hashes, sizes, *, held_out):
    """Of documents of one section each."""
    hashes, sizes = np.asarray(hashes, np.uint64), np.asarray(sizes)
    return Contents(hashes, np.ones(len(hashes), np.int64), hashes, sizes).fates(held_out=held_out)


def test_more_held_out_holds_out_what_less_did():
    hashes = np.random.default_rng(0).integers(0, 1 << 63, 5_000).astype(np.uint64)
    sizes = np.full(5_000, 1000)
    few, many = (set(np.flatnonzero(fates_of(hashes, sizes, held_out=s) == HELD_OUT)) for s in (0.02, 0.1))
    assert few < many
    assert (len(few), len(many)) == (100, 500)
    assert len(set(np.flatnonzero(fates_of(hashes, sizes * 100, held_out=0.5) == HELD_OUT))) == 100


@pytest.mark.parametrize(("count", "held"), [(0, 0), (1, 0), (2, 1), (3, 1), (40, 1)])
def test_one_of_two_documents_is_held_out(count, held):
    hashes = np.arange(7, 7 + count, dtype=np.uint64)
    fates = fates_of(hashes, np.full(count, 10), held_out=1e-9)
    assert (fates == HELD_OUT).sum() == held
    assert (fates == TRAIN).sum() == count - held
    assert not (fates_of(hashes, np.full(count, 10), held_out=0.0) == HELD_OUT).any()
    assert (fates_of(np.repeat(hashes, 2), np.full(2 * count, 10), held_out=0.0) == DROPPED).sum() == count


@pytest.mark.parametrize(
    "text",
    [
        novel(200),
        novel(200, between="\n"),
        novel(200, between=" "),
        "ภาษาไทยไม่มีช่องว่างระหว่างคำ" * 400,
        "अपने गाँव में मेरे बच्चे। " * 400,
        "\n" * 20_000,
        "x" * 20_000,
        "short",
        "",
    ],
)
def test_sections_put_together_are_the_document(text):
    sections = sections_of(text.encode())
    assert b"".join(sections).decode() == text
    assert all(section.decode() for section in sections if text)
    for section in sections[:-1]:
        assert 0 < len(section) <= SECTION_BYTES
    assert len(sections[-1]) <= LONG_DOCUMENT_BYTES
    # the same from the first cut on, whatever stood before
    assert sections_of(b"".join(sections[1:])) == sections[1:] or len(sections) == 1


def test_sections_end_with_a_paragraph_a_line_or_a_sentence():
    for between, begins in (("\n\n", b"\n\n"), ("\n", b"\n"), (" ", b" ")):
        sections = sections_of(novel(300, between=between).encode())
        assert len(sections) > 5
        assert all(section.startswith(begins) for section in sections[1:])
        assert all(section.endswith(b".") for section in sections)


def test_of_long_documents_sections_are_held_out_and_no_more_than_the_share():
    for count in (1, 2, 7):
        texts = [novel(1_000, seed=number).encode() for number in range(count)]
        contents = Contents.of(texts)
        fates = contents.fates(held_out=0.05)
        share = contents.sizes[fates == HELD_OUT].sum() / contents.sizes.sum()
        assert share == pytest.approx(0.05, abs=0.01)
        document = np.repeat(np.arange(count), contents.counts)
        for number in range(count):
            assert (fates[document == number] == TRAIN).mean() > 0.8
        order = np.arange(count)[::-1]
        turned = Contents.of([texts[number] for number in order]).fates(held_out=0.05)
        held = set(contents.section_hashes[fates == HELD_OUT].tolist())
        again = Contents.of([texts[number] for number in order]).section_hashes[turned == HELD_OUT]
        assert held == set(again.tolist())


def test_equal_sections_of_different_documents_are_on_one_side():
    licence = novel(60, seed=9)
    texts = [(licence + "\n\n" + novel(300, seed=number)).encode() for number in range(20)]
    contents = Contents.of(texts)
    fates = contents.fates(held_out=0.2)
    sides = {}
    for one, fate in zip(contents.section_hashes.tolist(), fates.tolist()):
        sides.setdefault(one, set()).add(fate)
    assert len(sides) < len(fates)
    assert all(len(side) == 1 for side in sides.values())


def test_an_equal_long_document_is_dropped_with_all_its_sections():
    text = novel(300).encode()
    fates = Contents.of([text, text]).fates(held_out=0.2)
    half = len(fates) // 2
    assert (fates[:half] != DROPPED).all() and (fates[half:] == DROPPED).all()


def test_documents_without_pieces_are_counted_once():
    runs = SectionRuns.of(np.array([3, 1, 1]), np.array([0, 0, 0, 4, 0]), np.array([1, 2, 1, 1, 0]))
    assert runs.without_pieces() == 1
    assert runs.in_split("train").tolist() == [False, False, False, True, False]


@pytest.mark.parametrize("recipe", [SMALL, BPE(vocab_size=400), ByteLevelBPE(vocab_size=400)])
def test_both_sides_of_a_store_are_the_text_and_share_none(tmp_path, recipe):
    books = [novel(400, seed=number) for number in range(2)]
    for number, book in enumerate(books):
        (tmp_path / f"{number}.txt").write_text(book)
    sources = [Txt(str(tmp_path / f"{number}.txt"), documents="file") for number in range(2)]
    store = prepare(sources, tmp_path / "store", tokenizer=recipe, held_out=0.1)
    sides = {}
    for name in ("train", "held_out"):
        split = store.split(name)
        ids = split.pieces(np.arange(split.num_pieces))
        sides[name] = [store.tokenizer.decode(ids[a:b]) for a, b in pairwise(split.document_starts)]
        assert np.flatnonzero(split.plane("document_start", np.arange(split.num_pieces))).tolist() == (
            split.document_starts[:-1].tolist()
        )
        assert set(split.document_starts[:-1]) <= set(split.sentence_starts)
    sizes = [sum(map(len, side)) for side in sides.values()]
    assert sizes[1] / sum(sizes) == pytest.approx(0.1, abs=0.03)
    words = [text.split() for text in (*sides["train"], *sides["held_out"])]
    whole = [word for book in books for word in store.tokenizer.decode(store.tokenizer.encode(book)).split()]
    assert sorted(word for some in words for word in some) == sorted(whole)
    assert len(sides["held_out"]) > 2
    assert not any(text.strip() in seen for text in sides["held_out"] for seen in sides["train"])


def test_sections_are_the_same_for_parts_processes_and_shards(tmp_path, monkeypatch):
    texts = [novel(200, seed=number) for number in range(3)] + documents(40, seed=5)
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number:02}.txt")
        paths[-1].write_text(text)
    sources = [Txt(str(path), documents="file") for path in paths]
    make_tokenizer(sources, tmp_path / "tokenizer", tokenizer=SMALL, held_out=0.2)
    ready = Ready(str(tmp_path / "tokenizer"))
    plain = prepare(sources, tmp_path / "plain", tokenizer=ready, held_out=0.2)
    monkeypatch.setattr(corpus_module, "_PART_BYTES", 900)
    prepare(sources, tmp_path / "small", tokenizer=ready, held_out=0.2)
    shards = shards_of(sources, 3, tmp_path / "shards", ready, held_out=0.2)
    merge_shards(shards[::-1], tmp_path / "merged")
    assert digests(tmp_path / "plain") == digests(tmp_path / "small") == digests(tmp_path / "merged")
    assert plain.split("train").num_documents > plain.tally.kept - plain.split("held_out").num_documents
    turned = prepare(sources[::-1], tmp_path / "turned", tokenizer=ready, held_out=0.2)
    for name in ("train", "held_out"):
        assert turned.split(name).num_pieces == plain.split(name).num_pieces


def test_pieces_that_are_there_already_are_cut_like_the_text(tmp_path):
    books = [novel(200, seed=number) for number in range(2)]
    (tmp_path / "books.txt").write_text("\n\n\n".join(book.replace("\n\n", "\n") for book in books))
    sources = [Txt(str(tmp_path / "books.txt"))]
    plain = prepare(sources, tmp_path / "plain", tokenizer=ByteLevelBPE(vocab_size=400), held_out=0.2)
    plain.tokenizer.save(tmp_path / "made")
    ids = [plain.tokenizer.encode(book.replace("\n\n", "\n")) for book in books]
    np.concatenate(ids).astype("<u2").tofile(tmp_path / "a.ds")
    np.cumsum([len(one) for one in ids]).astype("<u8").tofile(tmp_path / "a.ds.index")
    read = sources_for([str(tmp_path / "a.ds")], tokenizer=str(tmp_path / "made"))
    store = prepare(read, tmp_path / "store", tokenizer=piece_recipe_of(read), held_out=0.2)
    assert store.split("held_out").num_documents > 2
    assert store.fingerprint == plain.fingerprint


def test_one_file_without_blank_lines_and_small_files_in_a_folder_are_noticed(tmp_path):
    class Heard(WorkObserver):
        def __init__(self):
            self.said = []

        def on_line(self, text):
            self.said += text.splitlines()

        on_note = on_line

    Path(tmp_path / "lines.txt").write_text(novel(300, between="\n"))
    Path(tmp_path / "folder").mkdir()
    for number in range(2):
        Path(tmp_path / "folder" / f"{number}.txt").write_text(novel(100, seed=number))
    for texts, advice in (("lines.txt", "--documents line"), ("folder", "--documents paragraphs")):
        heard = Heard()
        prepared(
            sources_for([str(tmp_path / texts)]),
            tmp_path / f"store-{texts}",
            tokenizer=SMALL,
            processes=1,
            observer=heard,
        )
        assert any(advice in line for line in heard.said)
        sides = [line.split()[-4:] for line in heard.said if line.startswith("pieces ")]
        assert [side[0] for side in sides] and sides[1][1].endswith("%,")
        assert 0 < float(sides[1][1].rstrip("%,")) < 10


def test_what_the_tokenizer_changes_stands_in_the_store_and_its_table(tmp_path):
    Path(tmp_path / "a.txt").write_text("\n\n".join(documents(40)))
    source = Txt(str(tmp_path / "a.txt"))
    low = prepare([source], tmp_path / "low", tokenizer=SMALL)
    [(script, (changed, total))] = low.manifest["tokenizer"]["changes"].items()
    letters = [c for text in documents(40) for c in text if c.isalpha()]
    assert (script, changed, total) == ("Latin", sum(c.isupper() for c in letters), len(letters))
    assert changed_by_tokenizer(low)[0][0] == "  changed by the tokenizer: Latin"
    kept = prepare([source], tmp_path / "kept", tokenizer=BPE(vocab_size=400))
    assert changed_by_tokenizer(kept) == []
