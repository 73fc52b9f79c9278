"""What the verb `study` says and writes; the runs themselves: tests/study."""

from __future__ import annotations

import json

import pytest

from afterbert.cli.main import run
from afterbert.study.design import known_studies, read_study


def failed(words, capsys):
    assert run(words) == 2
    return capsys.readouterr().err


def test_every_study_is_listed(capsys):
    assert run(["study", "list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in known_studies())
    assert "(--parallel)" in said and "(--task)" in said, "what a study needs besides a text"


def test_a_study_of_ones_own_is_written_from_two_recipes_and_can_be_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["study", "new", "mine", "bert-mlm", "roberta", "--question", "Does RoBERTa's recipe serve my text?"]
    assert run(words) == 0
    name, study = read_study("mine.yaml")
    assert (name, list(study.arms), study.reference) == ("mine", ["bert-mlm", "roberta"], "bert-mlm")
    assert "choose another name" in failed(words, capsys)


def test_a_study_of_one_recipe_twice_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = failed(["study", "new", "mine", "laptop", "laptop", "--question", "Is it itself?"], capsys)
    assert "have the same recipe" in said


def test_status_tells_how_far_a_study_is(tmp_path, capsys):
    assert "no study was begun" in failed(["study", "status", "--out", str(tmp_path)], capsys)
    folder = tmp_path / "studies" / "one-minutes-1"
    folder.mkdir(parents=True)
    runs = [{"arm": "a", "seed": seed, "folder": f"run-{seed}"} for seed in (0, 1)]
    (folder / "plan.json").write_text(json.dumps({"study": "one", "scale": "minutes", "searches": [], "runs": runs}))
    half = tmp_path / "run-0"
    half.mkdir()
    (half / "status.json").write_text(json.dumps({"state": "training", "step": 50, "total_steps": 100}))
    (half / "metrics.jsonl").write_text(json.dumps({"kind": "step", "step": 50, "seconds": 30.0}) + "\n")
    assert run(["study", "status", "--out", str(tmp_path)]) == 0
    assert "one (minutes): 0 of 2 runs, 25% done, about 1 min 30 s left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["study", "masking-unit"], "write: afterbert study masking-unit --text my_texts/"),
        (["study", "masking-units"], "did you mean 'masking-unit'"),
        (["study", "masking-unit", "my_texts"], "texts are named by --text"),
        (["study", "report"], "has results yet"),
        (["study", "new", "mine"], "RECIPE_OR_RUN"),
        (["compare", "nowhere"], "two runs or more"),
        (["compare", "nowhere", "there"], "there is no folder nowhere"),
    ],
)
def test_a_mistake_is_answered_with_what_to_write(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in failed(words, capsys)
