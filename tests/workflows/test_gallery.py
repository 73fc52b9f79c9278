"""Every recipe's task on one text: pictures, stages, and the page that shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from afterbert.recipes import known
from afterbert.recipes.question import question_of
from afterbert.report import write_gallery
from afterbert.text.planes.phrase import Phrase
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows.gallery import exhibits_of, exhibits_on, gallery, plain, sample_text, store_of_text

TEXT = "The cat sat on the mat in New York. It was not amused by <that>. Then it left."


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    WordPiece(vocab_size=120, min_frequency=1, sentinels=8, lowercase=True).make([TEXT] * 9, corpus_bytes=900).save(
        folder
    )
    return folder


def test_every_recipe_is_shown_or_says_why_not(tokenizer: Path) -> None:
    exhibits = gallery(TEXT, tokenizer)
    assert list(dict.fromkeys(exhibit.recipe for exhibit in exhibits)) == known()
    without = {exhibit.recipe: exhibit.reason for exhibit in exhibits if exhibit.picture is None}
    # Phrases, entities and translations come from files; sentence vectors compare rows and ask nothing of one.
    assert set(without) == {"ernie", "laptop-sentences", "simcse", "laptop-tlm", "xlm-tlm"}
    assert "--phrases FILE" in without["ernie"] or "--entities FILE" in without["ernie"]
    for shown in plain(exhibits):
        if not shown["reason"]:
            read = [cell for cell in shown["shown"] if cell.get("action") != "removed"]
            assert len(shown["sight"]) == len(read) > 10


def test_stages_and_kinds_of_visibility_are_shown_one_by_one(tokenizer: Path, tmp_path: Path) -> None:
    phrases = tmp_path / "phrases.txt"
    phrases.write_text("new york\n")
    with store_of_text(TEXT, tokenizer, [Phrase(str(phrases))]) as store:
        stages = exhibits_of(question_of("ernie"), store)
        modes = exhibits_of(question_of("unilm"), store)
    assert [(stage.task, bool(stage.reason)) for stage in stages] == [
        ("stage 1", False),
        ("stage 2", False),
        ("stage 3", True),
    ]
    assert {mode.task for mode in modes} == {"full", "prefix", "causal", "reverse"}
    seen = {mode.task: mode.picture.may_attend.tolist() for mode in modes if mode.picture is not None}
    assert len({str(square) for square in seen.values()}) == 4


def test_the_page_shows_text_as_text_and_draws_the_squares(tokenizer: Path, tmp_path: Path) -> None:
    page = write_gallery(gallery(TEXT, tokenizer), TEXT, tmp_path / "page.html").read_text()
    assert "&lt;that&gt;" in page and "<that>" not in page
    squares = re.findall(r'viewBox="0 0 (\d+) \1".*?<path d="([^"]*)"', page)
    assert len(squares) >= len(known()) - 1
    for size, path in squares:
        cells = sum(int(width) for width in re.findall(r"h(\d+)v1", path))
        assert 0 < cells <= int(size) ** 2
    causal = page[page.index("<h3>gpt2") :]
    size, path = re.findall(r'viewBox="0 0 (\d+) \1".*?<path d="([^"]*)"', causal)[0]
    n = int(size)
    assert sum(int(width) for width in re.findall(r"h(\d+)v1", path)) == n * (n + 1) // 2


def test_the_sample_is_neighbouring_sentences_of_one_document(tokenizer: Path) -> None:
    with store_of_text(TEXT + " " + "It sat. " * 30, tokenizer) as store:
        text = sample_text(store, store.split("train"), sentences=3, most_pieces=44)
    assert 2 <= text.count(".") <= 3
    with store_of_text("one two three", tokenizer) as store:
        assert sample_text(store, store.split("train")) == "one two three"


def test_electra_shows_what_each_of_its_two_models_reads(tokenizer: Path) -> None:
    with store_of_text(TEXT, tokenizer) as store:
        generator, discriminator = exhibits_of(question_of("electra"), store, seed=2)
    assert (generator.task, discriminator.task) == ("the generator", "the discriminator")
    assert generator.picture is not None and discriminator.picture is not None
    chosen = [
        [cell.places for cell in one.picture.shown if cell.action in ("mask", "random", "keep")]
        for one in (generator, discriminator)
    ]
    assert chosen[0] == chosen[1] and chosen[0]
    assert not any(cell.action == "mask" for cell in discriminator.picture.shown)
    replaced = {cell.places for cell in discriminator.picture.shown if cell.asked == "replaced!"}
    assert replaced and replaced <= set(chosen[1])


def test_what_the_tokenizer_takes_from_a_script_is_told(tmp_path: Path) -> None:
    text = "किताब मेज़ पर रखी है और बिल्ली सो रही है।"
    for lowercase in (True, False):
        folder = tmp_path / str(lowercase)
        WordPiece(vocab_size=80, min_frequency=1, lowercase=lowercase).make([text] * 9, corpus_bytes=900).save(folder)
        (exhibit,) = next(iter(exhibits_on(text, [question_of("bert-mlm")], folder, (), seed=0)))
        assert ("in Devanagari" in exhibit.note) == lowercase
        assert ("in Devanagari" in str(plain([exhibit]))) == lowercase
    (english,) = next(iter(exhibits_on("The Cat sat on the Mat.", [question_of("bert-mlm")], None, (), seed=0)))
    assert not english.note
