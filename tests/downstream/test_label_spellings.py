"""One class in several spellings is one class, what stands for none is told, and numbers may have a comma."""

from __future__ import annotations

import json

import pytest

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.downstream.example import AnswerSpan, Example
from afterbert.downstream.metrics.exact_match import ExactMatch
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import find_task
from afterbert.downstream.tasks.minimal_pairs import some_of_each


def csv(path, labels, separator=",", header="text,label"):
    lines = [f"text number {i}{separator}{label}" for i, label in enumerate(labels)]
    path.write_text("\n".join([header.replace(",", separator), *lines]) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["Yes", "No", "yes ", "NO", " Yes", "no"] * 5, ("NO", "Yes")),
        (["1", "0", "1.0", "0.0", "nan", ""] * 5, ("0", "1")),
        (["1", "0", "true", "no", "1", "0"] * 5, ("0", "1")),
        (["yes", "no", "N", "true", "y", "no", "yes"] * 5, ("no", "yes")),
        (["y", "n", "Y", "y"] * 9, ("n", "y")),
        (["já", "nei", "Já", "NEI", "já", "nei"] * 5, ("já", "nei")),
        (["हाँ", "नहीं"] * 9, ("नहीं", "हाँ")),
        (["好", "坏"] * 9, ("坏", "好")),
        (["ดี", "แย่"] * 9, ("ดี", "แย่")),
        (["FAVOR", "AGAINST", "NONE"] * 9, ("AGAINST", "FAVOR", "NONE")),
        (["None", "Some"] * 9, ("None", "Some")),
        (["+", "-"] * 9, ("+", "-")),
        (["a", "b", "-"] * 9, ("a", "b")),
        (["0", "1", "2"] * 20 + ["-1"], ("0", "1", "2")),
        (["-1", "0", "1"] * 9, ("-1", "0", "1")),
        (["1_0", "10"] * 9, ("10", "1_0")),
        (["yes", "no", "maybe", "1"] * 9, ("1", "maybe", "no", "yes")),
    ],
)
def test_one_class_in_several_spellings_is_one(tmp_path, labels, expected):
    data = read(find_task(csv(tmp_path / "a.csv", labels)))
    assert data.task.labels == expected
    assert {row.label for row in data.splits["train"]} - {None} == set(expected)


def test_names_that_look_alike_are_one_and_long_numbers_are_not(tmp_path):
    labels = ["g\u00f3ður", "go\u0301ður", "vondur", "vondur\u200b"] * 10
    assert len(read(find_task(csv(tmp_path / "a.csv", labels))).task.labels) == 2
    labels = ["100000000000000000", "100000000000000001"] * 10
    assert read(find_task(csv(tmp_path / "b.csv", labels))).task.labels == ("100000000000000000", "100000000000000001")


def test_rows_without_a_label_are_not_counted_as_learned(tmp_path):
    data = read(find_task(csv(tmp_path / "a.csv", ["1", "0", "nan"] * 10)))
    assert data.said_rows("train") == "20 with text and label of 30"
    assert read(find_task(csv(tmp_path / "b.csv", ["1", "0"] * 10))).said_rows("train") == "20"


def test_why_no_row_can_be_used_is_said(tmp_path):
    """It was `0 different scores in 0 training rows` and no more."""
    path = csv(tmp_path / "a.csv", [f"{n}%" for n in range(30)], header="text,score")
    with pytest.raises(UserError, match=r"30 rows were read; train: 30 scores that are no numbers \(first: a.csv:2\)"):
        read(find_task(path, kind="regression"))


def test_scores_that_no_float_squares_are_refused(tmp_path):
    """Training ended in a traceback."""
    labels = ["1e300", "0.5"] * 20
    with pytest.raises(UserError, match="scores reach 1e.300"):
        read(find_task(csv(tmp_path / "a.csv", labels, header="text,score")))


def test_what_was_read_as_what_is_told(tmp_path):
    csv(tmp_path / "train.csv", ["yes", "no", "Yes", "None"] * 20 + ["-"])
    csv(tmp_path / "dev.csv", ["YES", "no", "-1"] * 3)
    data = read(find_task(str(tmp_path)))
    assert data.notes[:5] == (
        "train: 20 labels 'yes' read as 'Yes' (first: train.csv:2)",
        "train: 20 rows labelled 'None', a class like others (no_label in a task file leaves them out) "
        "(first: train.csv:5)",
        "train: 1 rows labelled '-', read as rows without a label (first: train.csv:82)",
        "dev: 3 labels 'YES' read as 'Yes' (first: dev.csv:2)",
        "dev: 3 rows labelled '-1', read as rows without a label (first: dev.csv:4)",
    )


def test_a_task_file_says_what_stands_for_none_and_keeps_spellings_apart(tmp_path):
    csv(tmp_path / "a.csv", ["Polish", "polish", "None"] * 9)
    (tmp_path / "t.yaml").write_text(
        "task: {type: sentence_classification, labels: [Polish, polish], no_label: [None]}\nfiles: {train: a.csv}\n"
    )
    data = read(find_task(str(tmp_path / "t.yaml")))
    assert [row.label for row in data.splits["train"][:3]] == ["Polish", "polish", None]


def test_json_values_of_one_truth_and_nan(tmp_path):
    values = [1, 0, "1", "0", 1.0, True, False, float("nan"), None]
    rows = [json.dumps({"text": f"text {i}", "label": values[i % 9]}) for i in range(90)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    data = read(find_task(str(tmp_path / "a.jsonl")))
    assert data.task.labels == ("0", "1")
    assert sum(row.label is None for row in data.splits["train"]) == 20


@pytest.mark.parametrize("header", ["text;score", "texti;tala"])
def test_a_comma_before_a_fraction_is_one(tmp_path, header):
    path = csv(tmp_path / "a.csv", ["0,17", "0,5", "1", "", "nan", "2,25"] * 9, ";", header.replace(";", ","))
    data = read(find_task(path))
    assert name_of(data.task) == "regression" and (data.task.low, data.task.high) == (0.17, 2.25)
    assert [row.label for row in data.splits["train"][:6]] == [0.17, 0.5, 1.0, None, None, 2.25]
    assert any("27 scores with a comma before their fraction" in note for note in data.notes)


def test_whole_numbers_are_grades_where_these_are_asked_for(tmp_path):
    path = csv(tmp_path / "a.csv", [str(i % 6) for i in range(30)], header="texti,einkunn")
    assert name_of(find_task(path).task) == "sentence_classification"
    source = find_task(path, kind="regression")
    assert source.columns == {"first": "texti", "score": "einkunn"}
    assert read(source).task.high == 5.0


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_as_excel_saves_them(tmp_path, encoding):
    mark = "\ufeff" if encoding[-2:] in ("le", "be") else ""
    lines = [f'"Mjög ""góð"" mynd\r\nnúmer {i}; já";gott\r\n"Vond mynd {i}";vont' for i in range(9)]
    text = mark + "Umsögn;Einkunn\r\n" + "\r\n".join(lines) + "\r\n"
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    data = read(find_task(str(tmp_path / "a.csv")))
    assert data.task.labels == ("gott", "vont") and len(data.splits["train"]) == 18
    assert data.splits["train"][0].texts == ('Mjög "góð" mynd\nnúmer 0; já',)


def test_a_header_of_unknown_names_over_texts_is_no_row(tmp_path):
    lines = [f'"Hæ, þetta er setning {i}","Hi, this is sentence {i}"' for i in range(9)]
    (tmp_path / "a.csv").write_text("\n".join(["íslenska,enska", *lines]), encoding="utf-8")
    data = read(find_task(str(tmp_path / "a.csv")))
    assert name_of(data.task) == "text_to_text" and len(data.splits["train"]) == 9


def test_several_references_are_one_item_where_they_are_scored(tmp_path):
    rows = [json.dumps({"source": f"one source {i // 2}", "target": f"a target {i % 3}"}) for i in range(12)]
    for name in ("train.jsonl", "dev.jsonl"):
        (tmp_path / name).write_text("\n".join(rows))
    data = read(find_task(str(tmp_path)))
    assert (len(data.splits["train"]), len(data.splits["dev"])) == (12, 6)
    assert data.splits["dev"][0].label == ("a target 0", "a target 1")
    assert any("6 rows that give one more target for a source" in note for note in data.notes)
    lines = [f"a source {i},a ref {i},one more {i}" for i in range(9)]
    (tmp_path / "a.csv").write_text("\n".join(["source,ref0,ref1", *lines]))
    source = find_task(str(tmp_path / "a.csv"), columns={"source": "source", "target": "ref0+ref1"})
    assert read(source).splits["train"][0].label == ("a ref 0", "one more 0")


def test_one_han_character_does_not_change_the_rules_of_a_set():
    english = [(AnswerSpan("the big tower", 0),), (AnswerSpan("Mount 泰山", 0),), (AnswerSpan("a dog", 0),)]
    # By character, an article would count.
    assert ExactMatch()(["big tower", "mount 泰山", "dog"], english) == 1.0
    assert ExactMatch()(["the mount 泰山", "x", "x"], [english[1], english[0], english[2]]) == pytest.approx(1 / 3)


def test_some_of_each_kind():
    rows = [Example(f"{group}{i}", ("a", "b"), 0, group) for group in "xyz" for i in range(4)]
    assert [row.key for row in some_of_each(rows, 7)] == ["x0", "x1", "x2", "y0", "y1", "z0", "z1"]
    assert some_of_each(rows, None) == rows
