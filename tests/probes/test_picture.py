"""Pictures of every recipe's task tell the whole text: rebuilt from the cells, from the page and from the terminal."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from afterbert.base.noise import Noise
from afterbert.cli import showing
from afterbert.probes.picture import Picture, pictures_of
from afterbert.recipes import known, resolve
from afterbert.recipes.question import question_of
from afterbert.report import write_gallery
from afterbert.text.planes.phrase import Phrase
from afterbert.text.tokenizers.wordpiece import WordPiece
from afterbert.workflows.gallery import Exhibit, exhibits_of, store_of_text


def rebuilt(picture: Picture) -> list[str]:
    """The original pieces in their order, put together from the shown cells alone; each is told once."""
    told = sorted(place for cell in picture.shown for place in cell.places)
    assert told == list(range(len(picture.before)))
    texts = [""] * len(told)
    for cell in picture.shown:
        for place in cell.places:
            is_itself = cell.action in ("", "special", "moved", "keep", "removed")
            texts[place] = cell.text if is_itself else picture.before[place].text
    return texts


TEXTS = {
    "english": "The cat sat on the mat in New York. It was not amused by that. Then it left the old house for good.",
    "icelandic": "Kötturinn sat á mottunni í gær. Honum var ekki skemmt yfir því. Svo fór hann út úr húsinu að eilífu.",
    "hindi": "बिल्ली चटाई पर बैठी थी। उसे यह पसंद नहीं आया। फिर वह हमेशा के लिए घर छोड़कर चली गई।",
    "chinese": "猫坐在垫子上。它对此并不高兴。然后它永远离开了那座老房子。",
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    everything = [*TEXTS.values()] * 9
    recipe = WordPiece(vocab_size=700, min_frequency=1, lowercase=False, strip_accents=False, sentinels=32)
    made = recipe.make(everything, corpus_bytes=sum(map(len, everything)))
    made.save(folder)
    return folder


@pytest.fixture(scope="module")
def exhibits(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Exhibit]]:
    """Language -> pictures of all recipes under several seeds."""
    lists = tmp_path_factory.mktemp("lists")
    (lists / "phrases.txt").write_text("New York\ná mottunni\nउसे यह\n垫子\n")
    found: dict[str, list[Exhibit]] = {}
    for language, text in TEXTS.items():
        with store_of_text(text, tokenizer, [Phrase(str(lists / "phrases.txt"))]) as store:
            for name in known():
                for seed in range(4 if language == "english" else 1):
                    found.setdefault(language, []).extend(exhibits_of(question_of(name), store, seed=seed))
    return found


def pictures(exhibits: list[Exhibit]) -> list[tuple[str, Picture]]:
    return [(one.recipe, one.picture) for one in exhibits if one.picture is not None]


@pytest.mark.parametrize("language", TEXTS)
def test_the_text_is_rebuilt_from_the_cells(exhibits, language):
    found = pictures(exhibits[language])
    drawn = {
        n for n in known() if any(not isinstance(task, str) for task in question_of(n).objective.pictured().values())
    }
    assert {recipe for recipe, _ in found} >= drawn - {"ernie"}
    for recipe, picture in found:
        assert rebuilt(picture) == [cell.text for cell in picture.before], recipe
        assert len(picture.may_attend) == sum(cell.is_read for cell in picture.shown), recipe


def test_what_nobody_touched_has_no_mark(exhibits):
    """A piece behind a sentinel was once drawn as inserted, because its neighbour was gone."""
    for recipe, picture in pictures(exhibits["english"]):
        places = [cell.places[0] for cell in picture.shown if cell.action == ""]
        assert places == sorted(places), recipe
        if recipe in ("t5", "t5-baseline", "t5-drop", "find-deleted"):
            assert {cell.action for cell in picture.shown} <= {"", "special", "mask", "removed"}, recipe


def test_marks_tell_what_they_hide(exhibits):
    hidden = [
        (picture.truth(cell), cell)
        for recipe, picture in pictures(exhibits["english"])
        if recipe in ("t5", "bart")
        for cell in picture.shown
        if cell.action == "mask"
    ]
    assert any(len(cell.places) > 1 for _, cell in hidden)
    assert any(truth.strip() in TEXTS["english"] and " " in truth.strip() for truth, _ in hidden)
    removed = [
        cell.text
        for recipe, picture in pictures(exhibits["english"])
        if recipe == "find-deleted"
        for cell in picture.shown
        if not cell.is_read
    ]
    assert removed


def test_several_rows_are_drawn_each_from_its_own_start(tokenizer):
    resolved = resolve("t5", overrides=[("length", "16")])
    pretext = resolved.recipe.objective.pretext  # type: ignore[attr-defined]
    with store_of_text(TEXTS["english"] * 3, tokenizer) as store:
        noise = Noise(3)
        plan = resolved.recipe.objective.plan(store.split("train"), length=16, vocabulary=store.vocabulary, noise=noise)
        assert len(plan) > 3
        posed = pretext.pose(plan.rows([0, 1, 2]), noise, store.vocabulary, plan.labels([0, 1, 2]))
        texts = [str(i) for i in range(store.vocabulary.size)]
        found = pictures_of(posed, texts, count=3)
    assert len(found) == 3
    for picture in found:
        assert rebuilt(picture) == [cell.text for cell in picture.before]
        short = picture.cut(5)
        assert len(short.shown) == 5 and len(short.may_attend) == sum(cell.is_read for cell in short.shown)


def test_the_page_spells_what_is_read(exhibits, tmp_path):
    """The first paragraph of each task, its notes of the truth left out, is what the model reads."""
    shown = [one for one in exhibits["english"] if one.picture is not None]
    page = write_gallery(shown, TEXTS["english"], tmp_path / "page.html").read_text()
    paragraphs = re.findall(r'<div class="task">.*?<p class="text" dir="auto">(.*?)</p>', page, flags=re.S)
    assert len(paragraphs) == len(shown)
    for one, paragraph in zip(shown, paragraphs):
        assert one.picture is not None
        told = re.sub(r"<small>.*?</small>", "", paragraph)
        words = html.unescape(re.sub(r"<[^>]+>", "", told))
        read = "".join(cell.text for cell in one.picture.shown)
        assert "".join(words.split()) == "".join(read.split()), one.recipe


def test_the_terminal_tells_what_is_gone_and_hidden(exhibits, capsys):
    for recipe, picture in pictures(exhibits["english"]):
        if recipe not in ("t5", "bart", "find-deleted"):
            continue
        with showing.console.capture() as captured:
            showing.print_picture(picture)
        told = "".join(captured.get().split())
        for cell in picture.shown:
            if not cell.is_read:
                assert f"[-{cell.text.strip()}-]" in told
            elif cell.action == "mask" and len(cell.places) > 1:
                assert f"{cell.text.strip()}←{''.join(picture.truth(cell).split())}" in told
