"""Rows as tables and annotators leave them: lists inside a cell, a word a row, splits in a column, sets of choices."""

from __future__ import annotations

import json

import pytest

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import find_task

TEXTS = [f"{'góð' if i % 2 else 'vond'} mynd númer {i}" for i in range(24)]
WORDS, TAGS = ["Jón", "fór", "til", "Akureyrar"], ["B-PER", "O", "O", "B-LOC"]


def told(path, text, **said):
    path.write_text(text if isinstance(text, str) else "\n".join(json.dumps(row) for row in text))
    source = find_task(str(path), **said)
    return name_of(source.task), read(source)


def csv(header, rows):
    quoted = ('"' + str(cell).replace('"', '""') + '"' for row in rows for cell in row)
    width = len(header.split(","))
    return header + "\n" + "".join(",".join(row) + "\n" for row in zip(*[quoted] * width))


@pytest.mark.parametrize(
    "how",
    [
        lambda words: str(words),
        lambda words: json.dumps(words, ensure_ascii=False),
        lambda words: "[" + " ".join(map(repr, words)) + "]",  # numpy
        lambda words: str(tuple(words)),
    ],
    ids=["python", "json", "numpy", "tuple"],
)
def test_lists_that_a_cell_holds_are_lists(tmp_path, how):
    kind, data = told(tmp_path / "a.csv", csv("tokens,ner_tags", [(how(WORDS), how(TAGS))] * 20))
    row = data.splits["train"][0]
    assert (kind, row.texts, row.label) == ("tagging", tuple(WORDS), tuple(TAGS))
    sets = [["gleði"], ["gleði", "reiði"], ["reiði", "sorg", "gleði"], ["sorg"]]
    kind, data = told(tmp_path / "b.csv", csv("texti,flokkar", [(t, how(sets[i % 4])) for i, t in enumerate(TEXTS)]))
    assert kind == "multi_label" and data.task.labels == ("gleði", "reiði", "sorg")
    rows = [(f"Hver er {t}?", how(["já", "nei, ekki"]), i % 2) for i, t in enumerate(TEXTS)]
    kind, data = told(tmp_path / "c.csv", csv("question,options,answer", rows))
    assert kind == "multiple_choice" and data.splits["train"][1].texts[1:] == ("já", "nei, ekki")


@pytest.mark.parametrize(
    "cell",
    [
        "{'text': ['Osló'], 'answer_start': [7]}",
        "{'text': array(['Osló'], dtype=object), 'answer_start': array([7], dtype=int32)}",
    ],
)
def test_answers_that_a_cell_holds_are_answers(tmp_path, cell):
    rows = [(f"Hvar er {t}?", f"Það er Osló, {t}.", cell) for t in TEXTS]
    kind, data = told(tmp_path / "a.csv", csv("question,context,answers", rows))
    assert kind == "question_answering" and data.splits["train"][0].label[0].text == "Osló"


@pytest.mark.parametrize("as_text", [False, True])
def test_a_list_of_0_and_1_says_which_labels_are_given(tmp_path, as_text):
    """It was read as the labels '0' and '1'."""
    rows = [{"text": t, "labels": [i % 2, i // 2 % 2, 1 - i % 2]} for i, t in enumerate(TEXTS)]
    rows = [row | {"labels": str(row["labels"])} for row in rows] if as_text else rows
    kind, data = told(tmp_path / "a.jsonl", rows)
    assert kind == "multi_label" and data.task.labels == ("1", "2", "3")
    assert [row.label for row in data.splits["train"][:2]] == [("3",), ("1",)]
    assert data.task.as_written(("1", "3")) == [1, 0, 1]


@pytest.mark.parametrize("mark", [" ", ","])
def test_a_tag_for_each_word_of_a_text_is_tagging(tmp_path, mark):
    """A whole row of tags was one class."""
    rows = [{"sentence": " ".join([*WORDS, str(i)]), "labels": mark.join([*TAGS, "O"])} for i in range(20)]
    kind, data = told(tmp_path / "a.jsonl", rows)
    assert kind == "tagging" and data.splits["train"][0].label == (*TAGS, "O")


@pytest.mark.parametrize("is_repeated", [True, False])
def test_a_word_a_row_becomes_sentences(tmp_path, is_repeated):
    rows = [
        (f"Sentence: {n}" if is_repeated or i == 0 else "", word, "NN", tag)
        for n in range(20)
        for i, (word, tag) in enumerate(zip(WORDS, TAGS))
    ]
    kind, data = told(tmp_path / "a.csv", csv("Sentence #,Word,POS,Tag", rows))
    assert kind == "tagging" and len(data.splits["train"]) == 20
    assert (data.splits["train"][1].texts, data.splits["train"][1].label) == (tuple(WORDS), tuple(TAGS))
    _, data = told(tmp_path / "b.csv", csv("Word,Tag", [row[1::2] for row in rows]))
    assert any("rows of a single word" in note for note in data.notes)


def test_a_column_says_which_split_a_row_is_of(tmp_path):
    """The rows of the test set were trained on."""
    rows = [(t, i % 2, ["train", "train", "validation", "test"][i // 2 % 4]) for i, t in enumerate(TEXTS)]
    _, data = told(tmp_path / "a.csv", csv("text,label,split", rows))
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 12, "dev": 6, "test": 6}


def test_texts_of_each_rows_own_are_no_classes(tmp_path):
    with pytest.raises(UserError, match="the task cannot be told"):
        told(tmp_path / "a.jsonl", [{"id": i, "text": t, "label": [f"svar {t}"]} for i, t in enumerate(TEXTS)])


def test_a_column_of_ids_is_no_text(tmp_path):
    rows = [{"id": f"M_{i}", "question": {"stem": t, "choices": []}, "key": "AB"[i % 2]} for i, t in enumerate(TEXTS)]
    with pytest.raises(UserError, match=r"deeper by their path \(question.stem"):
        told(tmp_path / "a.jsonl", rows)


def test_choices_in_columns_of_single_letters(tmp_path):
    """MMLU's layout: it was a pair of the question and its first choice."""
    rows = [(f"Hver er {t}?", "já", f"nei {i}", "aldrei", "ABC"[i % 3]) for i, t in enumerate(TEXTS)]
    kind, data = told(tmp_path / "a.csv", csv("question,A,B,C,answer", rows))
    assert kind == "multiple_choice" and data.splits["train"][2].label == 2
    with pytest.raises(UserError, match="the task cannot be told"):
        told(tmp_path / "b.csv", "".join(f"Hver er {t}?,já já {i},nei nei {i},{i % 2}\n" for i, t in enumerate(TEXTS)))


def test_a_table_between_tabs_may_be_called_csv(tmp_path):
    rows = "".join(f"{t}, já og nei\t{i % 2}\n" for i, t in enumerate(TEXTS))
    kind, data = told(tmp_path / "a.csv", "umsögn\teinkunn\n" + rows)
    assert kind == "sentence_classification" and data.splits["train"][0].texts == (f"{TEXTS[0]}, já og nei",)


def test_a_header_of_fewer_columns_than_the_rows(tmp_path):
    """Commas in texts without quotes cost the text its end in silence; R leaves out the name of the row numbers."""
    rows = [f"{t}, og fleira,{i % 2}\n" for i, t in enumerate(TEXTS)]
    with pytest.raises(UserError, match="a.csv:1: has 2 columns, most rows have 3"):
        told(tmp_path / "a.csv", "umsögn,einkunn\n" + "".join(rows))
    rows = [f'"{i + 1}","{t}","{i % 2}"\n' for i, t in enumerate(TEXTS)]
    _, data = told(tmp_path / "b.csv", '"text","label"\n' + "".join(rows))
    assert data.splits["train"][0].texts == (TEXTS[0],)


def test_what_an_annotator_did_not_accept_is_no_label(tmp_path):
    answers = ["accept", "accept", "reject", "ignore"]
    rows = [
        {"text": t, "label": ["sport", "list"][i % 2], "answer": answers[i // 2 % 4], "_task_hash": i}
        for i, t in enumerate(TEXTS)
    ]
    _, data = told(tmp_path / "a.jsonl", rows)
    assert len(data.usable("train")) == 12


def test_one_choice_beside_several(tmp_path):
    rows = [
        {"text": t, "sentiment": ["glatt", {"choices": ["glatt", "reitt"]}, "reitt"][i % 3]}
        for i, t in enumerate(TEXTS)
    ]
    kind, data = told(tmp_path / "a.json", json.dumps(rows))
    assert kind == "multi_label" and [row.label for row in data.splits["train"][:2]] == [("glatt",), ("glatt", "reitt")]


def test_json_in_a_cell_is_read_as_json(tmp_path):
    answers = json.dumps({"text": ["😀 a/b"], "answer_start": [4]}).replace("/", "\\/")
    _, data = told(tmp_path / "a.csv", csv("question,context,answers", [(t, "Sjá 😀 a/b.", answers) for t in TEXTS]))
    (answer,) = data.splits["train"][0].label
    assert (answer.text, answer.start) == ("😀 a/b", 4) and not data.notes


def test_half_a_character_in_json_is_replaced(tmp_path):
    _, data = told(tmp_path / "a.jsonl", "".join(f'{{"text": "{t} \\ud83d", "label": {len(t) % 2}}}\n' for t in TEXTS))
    assert data.splits["train"][0].texts == (f"{TEXTS[0]} \ufffd",)


@pytest.mark.parametrize("names", [[f"option{n}" for n in range(1, 12)], [f"choice_{n}" for n in "abcdefghijk"]])
def test_choices_in_columns_are_in_the_order_of_their_numbers(tmp_path, names):
    rows = [(f"Hver er {t}?", *(f"svar {n}" for n in range(11)), i % 11 + 1) for i, t in enumerate(TEXTS)]
    kind, data = told(tmp_path / "a.csv", csv(",".join(["question", *names, "answer"]), rows))
    row = data.splits["train"][10]
    assert kind == "multiple_choice" and row.texts[1:] == tuple(f"svar {n}" for n in range(11)) and row.label == 10


def test_a_word_without_a_tag_has_none(tmp_path):
    rows = [{"sentence_id": i, "word": w, "tag": t} for i in range(9) for w, t in zip(WORDS, TAGS)]
    rows[1]["tag"] = None
    _, data = told(tmp_path / "a.jsonl", rows)
    assert data.task.labels == ("B-LOC", "B-PER", "O")
    assert [row.label for row in data.splits["train"][:2]] == [None, tuple(TAGS)]


def test_rows_that_are_lists_may_hold_lists(tmp_path):
    kind, data = told(tmp_path / "a.jsonl", [[f"id{i}", str(i % 2), ["a", "b"], t] for i, t in enumerate(TEXTS)])
    assert kind == "sentence_classification" and data.columns == {"text": "4", "label": "2"}


def test_columns_that_differ_in_spaces_alone_are_refused(tmp_path):
    with pytest.raises(UserError, match="two columns have the same name"):
        told(tmp_path / "a.csv", csv("text,label,label ", [(t, "ab"[i % 2], "cd"[i % 2]) for i, t in enumerate(TEXTS)]))


def test_numbers_of_rows_are_those_of_rows(tmp_path):
    with pytest.raises(UserError, match="of 3 training rows none has another label than 'O'"):
        told(tmp_path / "a.conll", "a O\nb O\n\n" * 3)
