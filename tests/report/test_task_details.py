"""The report of one fine-tuning: class by class, what is taken for what, and where it was surest and wrong."""

import json

import pytest

from afterbert.downstream.example import Example
from afterbert.downstream.figures.results import figures_by_class, taken_for, write_split
from afterbert.downstream.prediction import FoundSpan, Prediction
from afterbert.downstream.tasks.multi_label import MultiLabel
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.report.task_details import detail_grids
from afterbert.report.task_report import results_grid

SPREAD = {"mean": 0.5, "deviation": None, "values": [0.5]}
SPLIT = {
    "rows": 4,
    "metrics": {"accuracy": SPREAD},
    "interval": {"estimate": 0.5, "low": 0.25, "high": 0.75},
    "baseline": "always 'a'",
    "baseline_metrics": {"accuracy": 0.5},
    "gain": {"estimate": 0.0, "low": -0.5, "high": 0.5},
}


def test_errors_and_shares_have_no_mean():
    error = {
        **SPLIT,
        "metrics": {"squared_error": SPREAD},
        "baseline_metrics": {"squared_error": 1.5},
        "no_answers": [],
    }
    right = {**SPLIT, "no_answers": []}
    arms = {"alone": {"tasks": {"a": {"splits": {"dev": right}}, "b": {"splits": {"dev": right}}}}}
    assert results_grid(arms).rows[0][-1] == "50.0"
    arms["alone"]["tasks"]["b"] = {"splits": {"dev": error}}
    assert results_grid(arms).rows[0] == ("alone", "50.0", "0.500", "–")


def test_figures_by_class_agree_with_scikit_learn():
    from sklearn.metrics import precision_recall_fscore_support

    truths, guesses = ["a", "b", "c", "a", "b", "a"], ["a", "c", "c", "b", "b", "a"]
    task = SentenceClassification(labels=("a", "b", "c", "never"))
    found = figures_by_class(task, [guesses], truths)
    theirs = precision_recall_fscore_support(truths, guesses, labels=["a", "b", "c"], zero_division=0)
    assert list(found) == ["a", "b", "c"]
    for number, one in enumerate(found.values()):
        wanted = [column[number] for column in theirs]
        assert [one.precision, one.recall, one.f1, one.support] == pytest.approx(wanted)
    assert taken_for(task, [guesses, guesses], truths)["b"] == {"c": 2, "b": 2}


def test_entities_and_several_labels_count_each_for_its_class():
    tags = Tagging(labels=("O", "B-PER", "I-PER", "B-LOC"), scheme="bio")
    found = figures_by_class(tags, [[("B-PER", "O", "B-LOC")]], [("B-PER", "I-PER", "B-LOC")])
    assert (found["PER"].f1, found["LOC"].f1, found["PER"].support) == (0.0, 1.0, 1)
    assert taken_for(tags, [[("O",)]], [("O",)]) == {}
    plain = Tagging(labels=("N", "V"), scheme="none")
    assert taken_for(plain, [[("N", "N")]], [("N", "V")]) == {"N": {"N": 1}, "V": {"N": 1}}
    several = MultiLabel(labels=("x", "y"))
    assert figures_by_class(several, [[("x",), ("x", "y")]], [("x", "y"), ("y",)])["x"].precision == 0.5
    assert taken_for(several, [[("x",)]], [("y",)]) == {}


def test_a_report_lists_the_mistakes_that_the_model_was_surest_of(tmp_path):
    rows = [
        Example(f"f:{n}", (text,), label) for n, (text, label) in enumerate(zip(["p", "q", "r", "s\u2028"], "aabb"))
    ]
    answers = [Prediction("a", 0.9), Prediction("b", 0.6), Prediction("a", 0.8), Prediction("b", 0.99)]
    (tmp_path / "seed-0" / "predictions").mkdir(parents=True)
    write_split(tmp_path / "seed-0" / "predictions" / "food.dev.jsonl", answers, rows)
    by_class = {"a": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}}
    split = SPLIT | {"by_class": by_class, "taken_for": {"a": {"a": 1, "b": 1}, "b": {"a": 1, "b": 1}}}
    grids = detail_grids({"tasks": {"food": {"splits": {"dev": split}}}}, tmp_path)
    metrics, classes, confusion, mistakes = grids
    assert metrics.rows == (("food dev", "4", "accuracy", "50.0", "50.0", "", "25.0 to 75.0", "0.0 (-50.0 to 50.0)"),)
    assert classes.rows == (("a", "50.0", "50.0", "50.0", "2"),)
    assert (confusion.head, confusion.rows[0]) == (("", "a", "b"), ("a", "1", "1"))
    assert [row[0] for row in mistakes.rows] == ["r", "q"] and mistakes.rows[0][3] == "80.0%"


def test_of_many_classes_the_likeliest_confusions_are_listed(tmp_path):
    split = SPLIT | {"taken_for": {f"c{n}": {f"c{n}": 9, f"c{n + 1}": n} for n in range(40)}}
    grid = detail_grids({"tasks": {"many": {"splits": {"dev": split}}}}, tmp_path)[1]
    assert grid.head == ("true class", "given", "times")
    assert grid.rows[0] == ("c39", "c40", "39") and len(grid.rows) == 20


def test_a_line_of_predictions_says_text_and_place(tmp_path):
    rows = [Example("1", ("who?", "it was Ada"), ())]
    write_split(tmp_path / "a.jsonl", [Prediction("Ada", 0.5, span=FoundSpan("Ada", 7, 10))], rows)
    told = json.loads((tmp_path / "a.jsonl").read_text())
    assert told["text"] == ["who?", "it was Ada"] and (told["start"], told["end"], told["confidence"]) == (7, 10, 0.5)
