"""Test sets in other languages: found by their files' names, scored in one run, drawn as languages by tasks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.downstream.example import Example
from afterbert.downstream.finetuning.bench import Bench, fingerprint
from afterbert.downstream.finetuning.runs import finetune
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import find_task
from afterbert.downstream.reading.source import further_sets, languages_told
from afterbert.downstream.reading.switched_rows import SwitchedRows
from afterbert.downstream.tasks.question_answering import QuestionAnswering
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.downstream.tasks.text_to_text import TextToText
from afterbert.interop.loaded import LoadedModel
from afterbert.models.encoder import Encoder
from afterbert.nn.sharing.by_language import ShareByLanguage
from afterbert.nn.stack import Stack
from afterbert.report.task_report import transfer_grids, write_task_report
from afterbert.text.tokenizers.byte_level_bpe import ByteLevelBPE
from afterbert.text.word_pairs import Dictionary
from afterbert.workflows.finetune_request import FinetuneRequest, read_task, set_up
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.prediction import answerer_of

GOOD = {"en": ["good", "warm", "fine"], "de": ["gut", "lieb", "fein"], "is": ["góð", "hlýr", "fínn"]}
BAD = {"en": ["bad", "cold", "poor"], "de": ["böse", "kalt", "arm"], "is": ["vond", "kald", "lök"]}


def rows(language, count):
    words = [(word, "yes") for word in GOOD[language]] + [(word, "no") for word in BAD[language]]
    some = [(f"{words[n % 6][0]} {words[(n * n) % 6][0]}", words[n % 6][1]) for n in range(count)]
    return "text,label\n" + "".join(f"{text},{label}\n" for text, label in some)


def write(folder: Path) -> tuple[Path, Path]:
    task, more = folder / "ein Urteil", folder / "próf"
    for place in (task, more):
        place.mkdir()
    (task / "en-train.csv").write_text(rows("en", 36), "utf-8")
    (task / "en-dev.csv").write_text(rows("en", 6), "utf-8")
    (task / "en-test.csv").write_text(rows("en", 12), "utf-8")
    (task / "de-test.csv").write_text(rows("de", 12), "utf-8")
    (more / "judged.is.csv").write_text(rows("is", 12), "utf-8")
    return task, more


def model(stack=Stack()):  # noqa: B008  # it is frozen
    words = [" ".join(word for group in (GOOD, BAD) for some in group.values() for word in some)] * 9
    tokenizer = ByteLevelBPE(vocab_size=300, min_frequency=1).make(words, corpus_bytes=400)
    return LoadedModel("tiny", Encoder(hidden_size=32, intermediate_size=64, stack=stack), tokenizer, {}, None)


def test_one_run_scores_every_language_and_the_report_draws_them(tmp_path):
    task, more = write(tmp_path)
    data = read(find_task(f"mood:{task}", splits=further_sets(more)))
    assert data.languages == {"train": "en", "dev": "en", "test": "en", "de-test": "de", "judged.is": "is"}
    torch.manual_seed(0)
    done = finetune(model(), [data], tmp_path / "out", FineTuning(length=16), device="cpu")
    (result,) = done.results
    assert set(result.splits) == {"dev", "test", "de-test", "judged.is"}
    assert result.languages == {"dev": "en", "test": "en", "de-test": "de", "judged.is": "is"}
    arms = {"mood": tmp_path / "out" / "results.json"}
    (grid,) = transfer_grids({name: json.loads(path.read_text("utf-8")) for name, path in arms.items()})
    assert [row[0] for row in grid.rows] == ["de", "en", "is"] and "trained: mood on en" in grid.title
    assert all(" to " in row[1] for row in grid.rows)
    assert all(0 <= heat[1] <= 1 for heat in grid.heat)
    result = json.loads(arms["mood"].read_text("utf-8"))
    result["tasks"]["mood"]["languages"]["judged.is"] = "de"  # as pt-BR and pt-PT are both pt
    (grid,) = transfer_grids({"mood": result})
    assert [row[0] for row in grid.rows] == ["de, de-test", "de, judged.is", "en"]
    page = write_task_report(tmp_path, arms, title="Moods").read_text("utf-8")
    assert "color-mix" in page and "Languages by tasks" in (tmp_path / "report.md").read_text("utf-8")


def test_names_tell_languages_only_where_they_tell_two():
    def told(*names):
        return languages_told({name: Path(f"{name}.csv") for name in names})

    assert told("train", "xquad.de", "xquad.zh") == {"xquad.de": "de", "xquad.zh": "zh"}
    assert told("ud_no-train", "ud_de-test") == {"ud_no-train": "no", "ud_de-test": "de"}
    assert told("is_it-train", "is_it-test") == {} == told("train", "dev", "test")


def test_languages_have_their_own_rows_told_and_their_own_layers_stay(tmp_path):
    sharing = ShareByLanguage(("de", "en"), layers=1, embeddings=True)
    task, _ = write(tmp_path)
    tiny = model(Stack(sharing=sharing))
    data = read(find_task(f"mood:{task}"))
    done = finetune(tiny, [data], tmp_path / "out", FineTuning(length=16), device="cpu")
    assert {"de-test", "test"} <= set(done.results[0].splits)
    bench = Bench.of(tiny, [data], FineTuning(length=16))
    told = {split: set(rows.rows.planes["language"]) for split, rows in bench.asked.prepared["mood"].items()}
    assert told == {"train": {1}, "dev": {1}, "test": {1}, "de-test": {0}}
    learns = {name for name, p in bench.module().named_parameters() if p.requires_grad}
    assert not any(".parts." in name or "embeddings.token" in name for name in learns)
    assert any("stack.attention.1." in name for name in learns)


def test_a_model_told_languages_answers_rows_of_the_language_that_is_said(tmp_path):
    """Vectors of the two languages differ, so answers do; a language that it was never told is one line."""
    task, _ = write(tmp_path)
    told = model(Stack(sharing=ShareByLanguage(("de", "en"), layers=1, embeddings=True)))
    (tmp_path / "pieces").mkdir()
    told.tokenizer.save(tmp_path / "pieces")
    told = replace(told, folder=tmp_path / "pieces")
    finetune(told, [read(find_task(f"mood:{task}"))], tmp_path / "out", FineTuning(length=16), device="cpu")
    folder = str(tmp_path / "out" / "seed-0")
    shares = {}
    for language in ("de", "en", None):
        answerer, notes = answerer_of(folder, language=language)
        (shares[language],) = (answered.confidence for answered in answerer.rows(["good warm"]))
        assert bool(notes) == (language is None)
    assert shares["de"] != shares["en"] and shares[None] == shares["de"]
    with pytest.raises(UserError, match="--language dee: the model .* does not know it; did you mean 'de'"):
        answerer_of(folder, language="dee")


def test_rows_stand_there_again_in_the_words_of_a_list(tmp_path):
    task, _ = write(tmp_path)
    words = {code: tmp_path / f"Wörter en-{code}.tsv" for code in ("de", "is")}
    for code, path in words.items():
        path.write_text("".join(f"{a}\t{b}\n" for kind in (GOOD, BAD) for a, b in zip(kind["en"], kind[code])), "utf-8")

    def asked(**given):
        return FinetuneRequest("none", (f"mood:{task}",), **given)

    plain = read_task(asked(), f"mood:{task}", WorkObserver())
    data = read_task(asked(switch=tuple(map(str, words.values())), switch_rate=1.0), f"mood:{task}", WorkObserver())
    assert data.asked("dev") == plain.readable("dev") and data.baseline("test") == plain.baseline("test")
    assert [note.partition(" of ")[0] for note in data.notes if "again in words" in note] == ["train: 36"] * 2
    own = plain.readable("train")
    assert data.asked("train")[: len(own)] == own
    for code, start in (("de", len(own)), ("is", 2 * len(own))):
        told = dict(zip((*GOOD["en"], *BAD["en"]), (*GOOD[code], *BAD[code])))
        for row, copy in zip(own, data.asked("train")[start:], strict=False):
            assert copy.texts == (" ".join(told[word] for word in row.texts[0].split()),) and copy.label == row.label
    assert len(data.asked("train")) == 3 * len(own)
    assert len({fingerprint([one]) for one in (plain, data, replace(data, switched=None))}) == 2
    held = data.with_dev().asked("train")  # what is held out does not come back as a copy
    assert len(held) == 3 * len(data.with_dev().readable("train"))

    torch.manual_seed(0)
    settings = FineTuning(length=16, budget=Budget.parse("12epochs")).with_learning_rate(5e-3)
    figures = []
    for number, one in enumerate((plain, data)):
        (result,) = finetune(model(), [one], tmp_path / f"out{number}", settings, device="cpu").results
        figures.append({split: result.splits[split].metrics["accuracy"].mean for split in ("de-test", "test")})
    assert figures[1]["de-test"] > 0.9 > figures[0]["de-test"] and figures[1]["test"] > 0.9


def test_tags_stay_with_their_words_and_answers_within_the_text_refuse_other_words(tmp_path):
    tags = Tagging(labels=("A", "N"), scheme="none")
    rows = [Example("1", ("The", "Mill", "turns"), ("A", "N", "N"))]
    copies = SwitchedRows({"a.tsv": Dictionary({"mill": ["die Mühle"], "the": ["der"]})}, 1.0).of(rows, tags)
    assert [(one.texts, one.label) for one in copies] == [(("Der", "Die mühle", "turns"), ("A", "N", "N"))]
    assert SwitchedRows({"a.tsv": Dictionary({"sea": ["Meer"]})}).of(rows, tags) == ()
    for kind in (QuestionAnswering(), TextToText()):
        with pytest.raises(UserError, match="leave --switch out"):
            SwitchedRows({}).check("reading", kind)
    task, _ = write(tmp_path)
    (tmp_path / "fremd.tsv").write_text("sea\tMeer\n")
    (tmp_path / "wahr.tsv").write_text("good\tgut\n")
    for given, said in (
        ({"switch": (str(tmp_path / "fremd.tsv"),)}, "no word of its first column"),
        ({"switch": (str(tmp_path / "fehlt.tsv"),)}, "fehlt.tsv"),
        ({"switch": (str(tmp_path / "wahr.tsv"),) * 2}, "wahr.tsv twice; leave one out"),
        ({"switch": (str(tmp_path / "fremd.tsv"),), "switch_rate": 1.5}, "--switch-rate 1.5"),
    ):
        with pytest.raises(UserError, match=said):
            read_task(FinetuneRequest("none", (f"mood:{task}",), **given), f"mood:{task}", WorkObserver())
    with pytest.raises(UserError, match="--switch alone"):
        set_up(FinetuneRequest("none", (f"mood:{task}",), switch_rate=0.5))
