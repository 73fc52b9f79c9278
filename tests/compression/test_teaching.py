"""What a teacher is asked, of which layers, and in which words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from small_models import BERT, answering, outputs, setting_for
from torch.nn import functional as F

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.compression.chain import parse
from afterbert.compression.parts.replaced_words import Candidates, further_rows, words_of
from afterbert.compression.subject import Subject
from afterbert.downstream.example import Example
from afterbert.interop.loaded import LoadedModel
from afterbert.nn.inputs import Inputs
from afterbert.objectives.parts.distillation import DistillationModule, Losses
from afterbert.probes.masked_model import MaskedModel
from afterbert.text.tokenizers.wordpiece import WordPiece


@pytest.fixture
def model(tmp_path: Path) -> Subject:
    return answering(tmp_path / "model")


def task_of(subject: Subject) -> Any:
    assert subject.tuned is not None
    return subject.tuned.module.eval()


def test_a_teacher_reads_what_a_student_with_fewer_pieces_reads(model: Subject, tmp_path: Path) -> None:
    setting = setting_for(model, tmp_path / "scratch")
    few = replace(setting, rows={"train": setting.rows["train"][:3]})
    small = parse("vocabulary")(model, few)
    assert small.model.tokenizer.vocabulary.size < model.model.tokenizer.vocabulary.size
    parse("distil:steps=1")(small, few)
    asked = torch.from_numpy(np.load(setting.folder / "teacher.npy"))
    torch.testing.assert_close(asked, outputs(model, few))
    (tmp_path / "more").mkdir()
    parse("distil:steps=1,augment=2")(small, replace(few, folder=tmp_path / "more"))
    torch.testing.assert_close(torch.from_numpy(np.load(tmp_path / "more" / "teacher.npy"))[:3], asked)


@pytest.mark.parametrize(("by", "theirs"), [("skip", 2), ("last", 3)])
def test_first_pieces_are_those_of_the_layers_that_are_named(
    by: Any, theirs: int, model: Subject, tmp_path: Path
) -> None:
    """Of a student with 2 layers the first is compared, to layer 2 of 4 or to the one below the last."""
    setting = setting_for(model, tmp_path / "scratch")
    small = parse("layers:2")(model, setting)
    around = DistillationModule(task_of(small), task_of(model), Losses(soft=0, patient=1, patient_layers=by)).eval()
    arrays = next(iter(setting.batches(model)))
    mine, other = (task_of(one).backbone.layers(Inputs.of(arrays)).hidden for one in (small, model))
    apart = F.normalize(mine[1][:, 0], dim=-1) - F.normalize(other[theirs][:, 0], dim=-1)
    torch.testing.assert_close(around(arrays)["teacher/patient"], apart.square().sum())


def test_layers_that_are_not_compared_are_not_chosen() -> None:
    with pytest.raises(UserError, match="whose weight is 0"):
        parse("distil:patient_layers=last")


class Spy(MaskedModel):
    """Names food, a piece inside words, a mark, and we."""

    def fill_texts(self, texts: Any, *, top: int = 5) -> Any:
        assert top == 15
        assert all(text.count("[MASK]") == 1 for text in texts)
        return [[[(one, 0.1) for one in ("food", "##o", ",", "we")]] for _ in texts]


@pytest.fixture
def toy() -> LoadedModel:
    """Its words of one piece: those of the text, and letters."""
    texts = ["the food was good, we like films we like", "the good food was like films"] * 9
    tokenizer = WordPiece(vocab_size=300, min_frequency=1).make(texts, corpus_bytes=900)
    sized = replace(BERT, vocab_size=tokenizer.vocabulary.size)
    with torch.random.fork_rng():
        return LoadedModel("toy", sized, tokenizer, {"backbone": sized.build(tokenizer.vocabulary).state_dict()}, None)


def test_near_words_are_those_of_the_table(toy: LoadedModel) -> None:
    candidates = Candidates(toy, None)
    ids = toy.tokenizer.backend.get_vocab()
    assert {"the", "food", "was", "good", "we", "like", "films"} <= set(candidates.known.values())
    assert not any(re.search("[^a-z]", word) for word in candidates.known.values()), "pieces inside words are none"
    encoded = candidates.encode(["food, 3 the-wills ж!"])
    words = words_of(encoded)
    assert [encoded.texts[0][begin:end] for _, begin, end, _ in words] == ["food", "the", "wills", "ж"]
    candidates.table = torch.eye(len(candidates.table))
    candidates.table[ids["good"], ids["food"]] = 0.5
    candidates.table[ids["films"], list(words[2][3])] = 9.0
    food, _, both, unknown = candidates(encoded.texts, words)
    assert food[0] == "good" and "food" not in food and len(food) == 15
    assert len(words[2][3]) > 1 and both[0] == "films" and unknown == []


def test_a_language_model_names_words_of_one_piece(toy: LoadedModel) -> None:
    candidates = Candidates(toy, Spy(toy, cast(Any, None)))
    text = "we like wills, the food"
    we, like, both, _, food = candidates([text], words_of(candidates.encode([text])))
    assert like == ["food", "we"], "no mark and no piece inside words"
    assert we == ["food"] and food == ["we"], "not the word itself"
    assert len(both) == 15, "of several pieces: looked up"


def test_a_trained_language_model_is_asked(toy: LoadedModel) -> None:
    """It says the same of a word in both its places, for what stands around is the same."""
    masked = replace(toy, weights={**toy.weights, "lm_head": toy.lm_head_on(toy.backbone()).state_dict()})
    candidates = Candidates(toy, MaskedModel.of(masked))
    text = "we like the food " * 9
    found = candidates([text, text], words_of(candidates.encode([text, text])))
    assert found[:36] == found[36:] and len({tuple(one) for one in found}) > 1
    assert all(set(one) <= set(candidates.known.values()) for one in found)


def test_copies_have_four_words_in_ten_replaced_and_come_out_the_same_again(toy: LoadedModel) -> None:
    rows = [Example(f"r{n}", ("the food, was good!", "we like the food"), label="yes") for n in range(60)]
    made = list(further_rows(rows, 5, Candidates(toy, None), Noise(1)))
    again = list(further_rows(rows, 5, Candidates(toy, None), Noise(1)))
    assert made == again and made != list(further_rows(rows, 5, Candidates(toy, None), Noise(2)))
    assert len({row.key for row in made} | {row.key for row in rows}) == 360
    before = [re.findall(r"\w+", text) for text in rows[0].texts]
    changed = 0
    for row in made:
        assert re.sub(r"\w+", "x", row.texts[0]) == "x x, x x!" and re.sub(r"\w+", "x", row.texts[1]) == "x x x x"
        changed += sum(a != b for old, text in zip(before, row.texts) for a, b in zip(old, re.findall(r"\w+", text)))
    words = len(made) * 8
    assert abs(changed / words - 0.4) < 4 * (0.24 / words) ** 0.5


@pytest.mark.parametrize("kind", ["sentence_classification", "pair_classification", "regression"])
def test_copies_are_learned_from_the_teacher_alone(kind: str, tmp_path: Path) -> None:
    """What labels they are given does not change a bit of the student; the teacher is asked about each."""
    model = answering(tmp_path / "model", kind=kind)
    setting = setting_for(model, tmp_path / "a")
    small = parse("layers:2")(model, setting)
    rows = setting.rows["train"]
    told = []
    after = parse("distil:steps=3,augment=2")(small, replace(setting, advance=lambda *one: told.append(one)))
    total = 2 * len(setting.rows["train"])
    assert told[-1] == (total, total, "rows with other words")
    assert len(np.load(setting.folder / "teacher.npy")) == 3 * len(rows)
    labels = [row.label for row in rows]
    others = tuple(replace(row, label=label) for row, label in zip(rows, labels[1:] + labels[:1]))
    (tmp_path / "b").mkdir()
    elsewhere = replace(setting, folder=tmp_path / "b", rows={"train": others})
    assert torch.equal(outputs(parse("distil:steps=3,augment=2")(small, elsewhere), setting), outputs(after, setting))


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ("distil:augment=2", "tagging", "augment makes rows for sentence_classification, pair_"),
        ("distil:augment=2", "question_answering", "not for question_answering"),
        ("distil:augment=1,augment_by=/no/such", "regression", "/no/such"),
        ("distil:augment=2,hard=0.5", "regression", "have no label, which hard needs"),
        ("distil:augment_by=x", "regression", "has no effect without augment"),
        ("gradual:penalty=1", "regression", "has no effect without by=soft_movement"),
        ("retrain:epochs=3,steps=2", "regression", "epochs=3 and steps=2 say two lengths"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(said: str, kind: str, reason: str, model: Subject) -> None:
    with pytest.raises(UserError, match=reason) as refused:
        parse(said).check(replace(model.form, task=kind))
    assert len(refused.value.lines) == 1


def test_the_control_reads_as_many_rows() -> None:
    assert parse("distil:epochs=1,augment=3").control() == parse("retrain:epochs=4")
    assert parse("distil:steps=7,augment=3").control() == parse("retrain:steps=7")
