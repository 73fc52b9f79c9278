"""Texts named by language: what becomes of them in the store, and what is refused."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from afterbert.base.errors import UserError
from afterbert.base.mixing.exponent import Exponent
from afterbert.text.files.documents import Tally
from afterbert.text.files.policy import Policy
from afterbert.text.from_paths import sources_for
from afterbert.text.language_codes import check_code
from afterbert.text.languages import sources_by_language
from afterbert.text.sources._switched import Switched
from afterbert.text.sources.jsonl import Jsonl
from afterbert.text.sources.txt import Txt
from afterbert.text.token_store.by_language import by_language, figures_by_language
from afterbert.text.token_store.decoded import decoded_texts
from afterbert.text.token_store.mixture import mix_stores, open_store
from afterbert.text.token_store.prepare import prepare
from afterbert.text.token_store.sample import LanguageSamples
from afterbert.text.token_store.store import Store
from afterbert.text.tokenizers.bpe import BPE
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.stores import prepared
from afterbert.workflows.text_options import TextOptions


def _files(folder, sizes):
    words = {
        "en": "the small house stands by the sea",
        "is": "lítið hús stendur við hafið",
        "ja": "小さな家が海のそばに立つ",
    }
    for code, count in sizes.items():
        lines = [json.dumps({"text": f"{words[code]} {number}."}) for number in range(count)]
        (folder / f"texts {code}é.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [f"{code}={folder / f'texts {code}é.jsonl'}" for code in sizes]


@pytest.fixture
def store(tmp_path) -> Store:
    sources = sources_by_language(_files(tmp_path, {"en": 80, "is": 20, "ja": 10}))
    return prepare(sources, tmp_path / "store", tokenizer=BPE(vocab_size=400), held_out=0.1, smoothing=0.5)


def test_the_parts_by_language_are_the_documents_of_the_store(store):
    split = store.split("train")
    parts = by_language(split, store.languages)
    assert list(parts) == ["en", "is", "ja"]
    assert sum(part.num_pieces for part in parts.values()) == split.num_pieces
    texts = {
        name: store.tokenizer.backend.decode(part.pieces(np.arange(part.num_pieces))) for name, part in parts.items()
    }
    assert "hafið" in texts["is"] and "sea" not in texts["is"] and "海" in texts["ja"]
    for part in parts.values():
        assert set(part.document_starts) <= set(part.sentence_starts)
        assert part.plane("document_start", np.arange(part.num_pieces)).sum() == part.num_documents
        assert part.piece_counts.sum() == part.num_pieces
    whole = np.bincount(split.pieces(np.arange(split.num_pieces)))
    assert split.piece_counts.tolist() == whole.tolist()


def test_figures_by_language_add_up(store):
    found = figures_by_language(store)
    splits = [store.split(name) for name in ("train", "held_out")]
    assert sum(one.pieces for one in found.values()) == sum(split.num_pieces for split in splits)
    assert found["en"].documents == 80 and found["is"].words == 20 * 7


def test_a_law_between_languages_survives_the_folder_and_refuses_one_language(store, tmp_path):
    mixed = open_store(mix_stores({"store": store}, Exponent(0.5), tmp_path / "mixed").folder)
    split = mixed.telling(["is", "en", "ja"]).split("train")
    assert list(split.parts) == ["en", "is", "ja"] and split.num_pieces == store.split("train").num_pieces
    first = split.document_starts[np.flatnonzero(np.diff(split.languages, prepend=255))]
    assert split.language_at(first).tolist() == [1, 0, 2]
    assert split.piece_counts.sum() == split.count(0) + (split.pieces(np.arange(split.num_pieces)) != 0).sum()
    alone = prepare(
        sources_by_language(_files(tmp_path, {"is": 30})), tmp_path / "alone", tokenizer=BPE(vocab_size=300)
    )
    with pytest.raises(UserError, match="holds one language"):
        mix_stores({"alone": alone}, Exponent(0.5), tmp_path / "none")


def test_a_smoothed_sample_has_the_languages_shares_to_the_power_and_is_the_same_in_parts():
    texts = [("en", f"text {number:04}") for number in range(160)] + [
        ("is", f"orð {number:05}") for number in range(10)
    ]
    whole, halves = LanguageSamples(10_000, 0.5), [LanguageSamples(10_000, 0.5), LanguageSamples(10_000, 0.5)]
    for number, (language, text) in enumerate(texts):
        for one in (whole, halves[number % 2]):
            one.offer(language, text.encode(), text)
    found = list(whole.texts())
    share = sum(len(text.encode()) for text in found if text.startswith("orð")) / sum(len(t.encode()) for t in found)
    assert share == pytest.approx(1 / (1 + 14.4**0.5), abs=0.01)
    halves[0].join(halves[1])
    assert list(halves[0].texts()) == found


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["en={0}", "is={0}"], "is named as is, and as en"),
        (["xx={0}"], "'xx' is no language code"),
        (["english={0}"], "'english' is no language code"),
        (["{0}"], "must be CODE=PATH"),
        (["pt-BR={0}", "pt-br={1}"], "'pt-br' and 'pt-BR' are one language"),
        (["en+is={0},"], "a pair of languages has one file, or two with a comma between"),
        (["en={0}", "is={1}"], "holds no text, so the language is has none"),
        (["en={0}", "is={1}", "is={2}"], "holds no text, so the language is has none"),
        (["en={0}.gone"], r"\.gone"),
    ],
)
def test_what_is_wrong_with_a_language_is_one_line(tmp_path, named, said):
    full, *empty = (tmp_path / name for name in ("a text.txt", "empty.txt", "also empty.txt"))
    full.write_text("A text.\n", encoding="utf-8")
    for path in empty:
        path.write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match=said):
        sources_by_language([one.format(full, *empty) for one in named])


def test_mixed_scripts_are_told_with_the_place(tmp_path):
    path = tmp_path / "ru.txt"
    path.write_text("Это первый текст.\n\nВторой текст.\n\nBut this is English text.\n", encoding="utf-8")
    with pytest.warns(UserWarning, match=r"\d+% of its letters are .* first at .*ru.txt:"):
        sources_by_language([f"ru={path}"], documents="paragraphs")


@pytest.mark.parametrize(
    ("code", "near"), [("jp", "ja"), ("cn-Hant", "zh-Hant"), ("English", "en"), ("en_US", "en-US"), ("EN", "en")]
)
def test_an_unknown_code_is_refused_with_the_nearest(code, near):
    with pytest.raises(UserError, match=f"did you mean '{near}'"):
        check_code(code)


def test_a_file_called_after_no_language_is_refused(tmp_path):
    (tmp_path / "jp.txt").write_text("文", encoding="utf-8")
    with pytest.raises(UserError, match="jp.txt: 'jp' is no language code of ISO 639; did you mean 'ja'"):
        sources_for([str(tmp_path / "jp.txt")], language="by-name")


def test_the_codes_of_an_option_are_looked_at_one_by_one(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    assert TextOptions(language="en,en-mirror").sources([str(tmp_path / "a.txt")])
    with pytest.raises(UserError, match="'jp' is no language code"):
        TextOptions(language="en,jp").sources([str(tmp_path / "a.txt")])


def test_any_language_is_written_out_into_a_file_of_its_own(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(f'{{"text": "some {n} words", "lang": ""}}' for n in range(30)))
    (tmp_path / "b.jsonl").write_text("\n".join(f'{{"text": "more {n} words", "lang": "und"}}' for n in range(30)))
    (tmp_path / "c.jsonl").write_text("\n".join(f'{{"text": "{n} 字字", "lang": "zh/hant"}}' for n in range(30)))
    sources = [Jsonl(str(tmp_path / f"{name}.jsonl"), language_key="lang") for name in "abc"]
    found = decoded_texts(prepare(sources, tmp_path / "store", tokenizer=BPE(vocab_size=400)), tmp_path / "out")
    assert {name: len(path.read_text().splitlines()) for name, path in found.items()} == {"und": 60, "zh/hant": 30}


def test_words_of_a_dictionary_are_switched_in_one_language_alone(tmp_path):
    named = _files(tmp_path, {"en": 40, "is": 40})
    (tmp_path / "wörd.txt").write_text("house hús\nsea\tsær\nsea haf\n", encoding="utf-8")
    reading = TextOptions(lang=tuple(named), switch=(f"en={tmp_path / 'wörd.txt'}",))
    texts = {"en": [], "is": []}
    for part in (part for source in reading.sources(()) for part in source.parts(100)):
        for document in part.documents(Policy(), Tally()):
            texts[document.language].append(document.text)
    assert texts["is"] == [f"lítið hús stendur við hafið {number}." for number in range(40)]
    changed = [sum(word in text for word in ("hús", "sær", "haf")) for text in texts["en"]]
    assert set(changed) == {0, 1}, "of eight words fifteen percent are one"
    assert 10 < sum(changed) < 30, "one or both of two words in 51%"
    noted = []
    observer = SimpleNamespace(working=WorkObserver().working, on_line=lambda line: None, on_note=noted.append)
    reading = replace(reading, switch=(*reading.switch, f"fr={tmp_path / 'wörd.txt'}"), processes=1)
    made = prepared(
        reading.sources(()), tmp_path / "store", tokenizer=BPE(vocab_size=400), reading=reading, observer=observer
    )
    assert made.tally.noticed["documents in en with words of a dictionary replaced"] == sum(changed)
    assert [one.partition(":")[0] for one in noted] == [f"--switch fr={tmp_path / 'wörd.txt'} replaced no word"]
    whole = Switched(Txt(path="-", language="en"), "en", str(tmp_path / "wörd.txt"), rate=1.0, most=1.0)
    assert whole.switched("The House by the sea.") in ("The Hús by the sær.", "The Hús by the haf.")
    (tmp_path / "hindi.txt").write_text("क lítið\nकिताब bo\u0301k\n", encoding="utf-8")
    hindi = Switched(Txt(path="-", language="hi"), "hi", str(tmp_path / "hindi.txt"), rate=1.0, most=1.0)
    assert hindi.switched("यह किताब।") == "यह bók।"
    with pytest.raises(UserError, match="CODE=DICTIONARY"):
        TextOptions(lang=tuple(named), switch=("en",)).sources(())
