"""Labelled data as tools and programs export it: annotation tools, pandas, interfaces with nested JSON, folders of
classes."""

from __future__ import annotations

import json

import pytest

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import find_task

PEOPLE = [("Anna", "PER"), ("Osló", "LOC"), ("王芳", "PER")] * 8
TEXTS = [(f"góð mynd númer {i}", "jákvætt") if i % 2 else (f"vond mynd númer {i}", "neikvætt") for i in range(20)]


def told(path, **said):
    source = find_task(str(path), **said)
    return name_of(source.task), read(source)


def marked(how):
    """One JSON object a text, with its first word marked."""
    return [{"id": i, "text": f"{name} hittir bakarann.", **how(name, kind)} for i, (name, kind) in enumerate(PEOPLE)]


@pytest.mark.parametrize(
    "how",
    [
        lambda name, kind: {"label": [[0, len(name), kind]]},
        lambda name, kind: {"entities": [[0, len(name), kind]]},
        lambda name, kind: {"spans": [{"start": 0, "end": len(name), "label": kind}], "tokens": []},
        lambda name, kind: {
            "entities": [{"id": 1, "start_offset": 0, "end_offset": len(name), "label": kind}],
            "relations": [],
        },
        lambda name, kind: {"label": [{"start": 0, "end": len(name), "text": name, "labels": [kind]}]},
    ],
    ids=["doccano", "spacy", "prodigy", "doccano with relations", "label studio, short"],
)
@pytest.mark.parametrize("is_list", [False, True])
def test_marked_stretches_are_words_and_tags(tmp_path, how, is_list):
    rows = marked(how)
    (tmp_path / "a.json").write_text(json.dumps(rows) if is_list else "\n".join(map(json.dumps, rows)))
    kind, data = told(tmp_path / "a.json")
    assert kind == "tagging"
    first, chinese = data.splits["train"][0], data.splits["train"][2]
    assert (first.texts, first.label) == (("Anna", "hittir", "bakarann", "."), ("B-PER", "O", "O", "O"))
    assert chinese.texts[:3] == ("王", "芳", "hittir") and chinese.label[:3] == ("B-PER", "I-PER", "O")


def test_pairs_of_a_text_and_its_stretches_as_spacy_was_trained_on(tmp_path):
    rows = [[f"{name} hittir bakarann.", {"entities": [[0, len(name), kind]]}] for name, kind in PEOPLE]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    kind, data = told(tmp_path / "a.json")
    assert kind == "tagging" and data.splits["train"][0].label == ("B-PER", "O", "O", "O")


@pytest.mark.parametrize("is_list", [False, True])
def test_lists_in_json_are_rows_whose_columns_have_no_names(tmp_path, is_list):
    rows = [[text, label] for text, label in TEXTS]
    (tmp_path / "a.jsonl").write_text(json.dumps(rows) if is_list else "\n".join(map(json.dumps, rows)))
    kind, data = told(tmp_path / "a.jsonl")
    assert kind == "sentence_classification" and sum(map(len, data.splits.values())) == len(TEXTS)


def test_fasttexts_lines(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(f"__label__{label} {text}" for text, label in TEXTS) + "\n")
    kind, data = told(tmp_path / "a.txt")
    assert kind == "sentence_classification" and {one.label for one in data.splits["train"]} == {"jákvætt", "neikvætt"}
    several = "".join(f"__label__mynd __label__{label} {text}\n" for text, label in TEXTS)
    (tmp_path / "a.txt").write_text(several + "__label__mynd alls ekki __label__slæm\n")
    kind, data = told(tmp_path / "a.txt")
    assert kind == "multi_label" and "alls ekki __label__slæm" in {
        one.texts[0] for rows in data.splits.values() for one in rows
    }


def test_stretches_that_overlap_or_cut_a_word_are_counted(tmp_path):
    rows = [
        {"text": "Anna Berg sings.", "label": [[0, 9, "PER"], [5, 9, "LOC"], [10, 13, "ACT"]]},
        {"text": "Nobody sings.", "label": []},
        {"text": "Nobody knows.", "label": None},
    ] * 5
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, data = told(tmp_path / "a.jsonl")
    assert [row.label for row in data.splits["train"][:3]] == [("B-PER", "I-PER", "B-ACT", "O"), ("O", "O", "O"), None]
    said = "\n".join(data.notes)
    assert "5 marked stretches that overlap another (left out)" in said
    assert "5 marked stretches that begin or end inside a word" in said


def studio(text, results, **more):
    return {"id": 1, "data": {"text": text}, "annotations": [{"result": results, **more}], "predictions": []}


def test_label_studio_choices_and_stretches(tmp_path):
    rows = [
        studio(text, [{"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": [label]}}])
        for text, label in TEXTS
    ]
    (tmp_path / "choices.json").write_text(json.dumps([*rows, studio("óviss", [], was_cancelled=True)]))
    kind, data = told(tmp_path / "choices.json")
    assert kind == "sentence_classification" and data.task.labels == ("jákvætt", "neikvætt")
    assert [row.label for row in data.splits["train"][-2:]] == ["jákvætt", None]
    rows = [
        studio(
            f"\U0001f600 {name} sings",
            [
                {
                    "from_name": "ner",
                    "type": "labels",
                    "value": {"start": 3, "end": 3 + len(name), "text": name, "labels": [kind]},
                }
            ],
        )
        for name, kind in PEOPLE
    ]
    (tmp_path / "spans.json").write_text(json.dumps(rows))
    kind, data = told(tmp_path / "spans.json")
    assert kind == "tagging"
    assert data.splits["train"][1].texts == ("\U0001f600", "Osló", "sings")
    assert data.splits["train"][1].label == ("O", "B-LOC", "O")


FRAME = {"texti": [text for text, _ in TEXTS], "flokkur": [label for _, label in TEXTS]}
ROWS = [dict(zip(FRAME, row)) for row in zip(*FRAME.values())]
NUMBERED = {name: {str(i): cell for i, cell in enumerate(cells)} for name, cells in FRAME.items()}


@pytest.mark.parametrize(
    "tree",
    [
        ROWS,
        FRAME,
        NUMBERED,
        {str(i): row for i, row in enumerate(ROWS)},
        {"columns": list(FRAME), "index": [*range(20)], "data": [[*row.values()] for row in ROWS]},
        {"schema": {"fields": [{"name": "index"}]}, "data": ROWS},
        {"page": 1, "result": {"items": ROWS, "total": 20}},
    ],
    ids=["records", "list", "columns", "index", "split", "table", "nested"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_as_pandas_and_interfaces_write_it(tmp_path, tree, indent):
    (tmp_path / "a.json").write_text(json.dumps(tree, indent=indent))
    said = {"records": "data"} if isinstance(tree, dict) and "schema" in tree else {}
    kind, data = told(tmp_path / "a.json", **said)
    assert kind == "sentence_classification"
    assert [(*row.texts, row.label) for row in data.splits["train"]] == TEXTS


def test_nested_rows_and_fields_are_said(tmp_path):
    rows = [{"review": {"body": text, "by": "x"}, "meta": [{"mood": label}]} for text, label in TEXTS]
    (tmp_path / "a.json").write_text(json.dumps({"users": [{"name": "x"}], "data": {"items": rows}}))
    with pytest.raises(UserError, match=r"rows may stand in users \(1\), data.items \(20\); say --records"):
        find_task(str(tmp_path / "a.json"))
    with pytest.raises(UserError, match="no list of rows stands there; lists of objects: users, data.items"):
        find_task(str(tmp_path / "a.json"), records="data")
    with pytest.raises(UserError, match=r"by their path \(review.body, review.by\)"):
        find_task(str(tmp_path / "a.json"), records="data.items")
    columns = {"text": "review.body", "label": "meta.0.mood"}
    _, data = told(tmp_path / "a.json", records="data.items", columns=columns)
    assert [(*row.texts, row.label) for row in data.splits["train"]] == TEXTS
    with pytest.raises(UserError, match="has no column 'review.bdy' for text"):
        find_task(
            str(tmp_path / "a.json"), records="data.items", columns={"text": "review.bdy", "label": "meta.0.mood"}
        )


def test_an_index_column_of_pandas_is_neither_text_nor_label(tmp_path):
    lines = [f"{i},{text},{label}" for i, (text, label) in enumerate(TEXTS)]
    (tmp_path / "a.csv").write_text("\n".join([",umsögn,skoðun", *lines]))
    source = find_task(str(tmp_path / "a.csv"))
    assert source.columns == {"text": "umsögn", "label": "skoðun"}
    assert len(read(source).splits["train"]) == 20


def test_a_folder_for_each_class(tmp_path):
    for split, count in (("train", 6), ("test", 3)):
        for label in ("pos", "neg", "unsup"):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}_7.txt").write_text(f"{label} texti {number}\nlína tvö\n")
    (tmp_path / "imdb.vocab").write_text("the\na\n")
    (tmp_path / "README").write_text("x")
    kind, data = told(tmp_path)
    assert kind == "sentence_classification" and data.task.labels == ("neg", "pos")
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 18, "test": 9}
    assert data.splits["train"][0].texts == ("neg texti 0\nlína tvö",)
    assert sum(row.label is None for row in data.splits["train"]) == 6
    assert {row.label for row in told(tmp_path / "train")[1].splits["train"]} == {"neg", "pos", None}


def test_a_file_for_each_class(tmp_path):
    for label in ("íþróttir", "menning"):
        (tmp_path / f"{label}.txt").write_text("".join(f"{label}, frétt {i}\n" for i in range(9)))
    _, data = told(tmp_path)
    assert data.task.labels == ("menning", "íþróttir") and len(data.splits["train"]) == 18


def table(path, rows, header="text,label"):
    path.write_text("\n".join([header, *(f"{text},{label}" for text, label in rows)]))
    return path


def test_files_of_splits_and_headers_are_said(tmp_path):
    (tmp_path / "other").mkdir()
    table(tmp_path / "a.csv", TEXTS)
    splits = {"test": table(tmp_path / "other" / "b.csv", TEXTS[:4]), "dev": table(tmp_path / "c.csv", TEXTS[4:8])}
    _, data = told(tmp_path / "a.csv", splits=splits)
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 20, "test": 4, "dev": 4}
    with pytest.raises(UserError, match=r"--split test=.*: does not exist"):
        find_task(str(tmp_path / "a.csv"), splits={"test": tmp_path / "none.csv"})
    assert len(told(tmp_path / "a.csv", header=False, columns={"text": "1", "label": "2"})[1].splits["train"]) == 21
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    with pytest.raises(UserError, match="--header has no effect on jsonl files"):
        find_task(str(tmp_path / "a.jsonl"), header=True)
    with pytest.raises(UserError, match="--records has no effect"):
        find_task(str(tmp_path / "a.jsonl"), records="data")
