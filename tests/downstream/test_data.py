"""Reading a task's rows: defects are counted, leaks named, hopeless data refused in one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from afterbert.base.errors import UserError
from afterbert.downstream.example import AnswerSpan
from afterbert.downstream.metrics._answers import rule_for
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import find_task, named_path
from afterbert.downstream.reading.guess import guess
from afterbert.downstream.tasks.multiple_choice import MultipleChoice
from afterbert.downstream.tasks.ranking import Ranking

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "tasks"


def folder(tmp_path, **files):
    for split, rows in files.items():
        text = "sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows)
        (tmp_path / f"{split}.tsv").write_text(text)
    return str(tmp_path)


def test_leaks_and_repeats_are_counted_and_named(tmp_path):
    train = [("a b", "x"), ("c d", "y"), ("a b", "y"), ("e f", "x")]
    data = read(find_task(folder(tmp_path, train=train, dev=[("c d", "y"), ("e f", "y"), ("g h", "x")])))
    assert data.notes == (
        "train: 1 rows repeat an earlier one, 1 of them with another label (first: train.tsv:4)",
        "dev: 2 rows stand in train too, 1 of them with another label (first: dev.tsv:2 = train.tsv:3)",
    )
    kept = data.without_leaks()
    assert [row.texts[0] for row in kept.splits["train"]] == ["a b", "a b"]
    assert len(kept.splits["dev"]) == 3
    assert "2 training rows that stand in another split are left out" in kept.notes


def test_unlabelled_and_empty_rows_are_counted_not_fatal(tmp_path):
    data = read(find_task(folder(tmp_path, train=[("a b", "x"), ("c d", "-"), ("", "y"), ("e f", "y")])))
    assert data.notes == (
        "train: 1 rows with an empty text (first: train.tsv:4)",
        "train: 1 rows labelled '-', read as rows without a label (first: train.tsv:3)",
    )
    assert [row.texts[0] for row in data.usable("train")] == ["a b", "e f"]


def test_labels_that_training_lacks_count_as_wrong_and_are_named(tmp_path):
    data = read(find_task(folder(tmp_path, train=[("a b", "x"), ("c d", "y")], dev=[("e", "z"), ("f", "x")])))
    assert data.notes == ("dev: labels that train does not have (z) count as wrong: 1",)
    assert data.task.labels == ("x", "y")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"train": [("a b", "x"), ("c d", "x")]}, "of 2 training rows none has another label than 'x'"),
        ({"train": [("a b", "x"), ("c d", "y")], "dev": [("e f", "1")]}, "dev: none of its labels (1) occurs in train"),
        (
            {"dev": [("a b", "x"), ("c d", "y")], "test": [("e f", "x"), ("g h", "y")]},
            "has no training rows among dev.tsv (dev, by its name)",
        ),
    ],
)
def test_hopeless_data_is_refused_in_one_line(tmp_path, files, said):
    with pytest.raises(UserError) as caught:
        read(find_task(folder(tmp_path, **files)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_label_asked_for_that_no_row_has_is_named(tmp_path):
    folder(tmp_path, train=[("a b", "x"), ("c d", "y")])
    (tmp_path / "t.yaml").write_text(
        "task: {type: sentence_classification, labels: [x, y, z]}\nfiles: {train: train.tsv}\n"
    )
    assert read(find_task(str(tmp_path / "t.yaml"))).notes == ("train: no row has the label 'z'; it is never learned",)


def test_holding_out_keeps_equal_texts_together_and_repeats_itself(tmp_path):
    rows = [(f"text {i % 150}", "xy"[i % 2]) for i in range(300)]
    data = read(find_task(folder(tmp_path, train=rows)))
    held = data.with_dev(share=0.2, seed=3)
    train, dev = ({row.texts for row in held.splits[split]} for split in ("train", "dev"))
    assert not train & dev
    assert len(held.splits["train"]) + len(held.splits["dev"]) == 300
    assert 30 < len(held.splits["dev"]) < 100
    assert held.splits == data.with_dev(share=0.2, seed=3).splits
    assert held.splits != data.with_dev(share=0.2, seed=4).splits
    assert held.with_dev() is held


def test_questions_on_one_context_are_held_out_together(tmp_path):
    paragraphs = [
        {
            "context": f"Ann met Bo {n} times.",
            "qas": [{"id": f"{n}/{q}", "question": f"q{q}?", "answers": ["Bo"]} for q in range(5)],
        }
        for n in range(60)
    ]
    (tmp_path / "train.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    held = read(find_task(str(tmp_path / "train.json"))).with_dev(seed=1)
    train, dev = ({row.texts[1] for row in held.splits[split]} for split in ("train", "dev"))
    assert train and dev and not train & dev


def squad(tmp_path, *answers):
    qas = [
        {"id": str(i), "question": f"q {i}?", "answers": [{"text": text, "answer_start": start}]}
        for i, (text, start) in enumerate(answers)
    ]
    tree = {"data": [{"paragraphs": [{"context": "Ann and Ann met Bo.", "qas": qas}]}]}
    (tmp_path / "train.json").write_text(json.dumps(tree))
    return read(find_task(str(tmp_path / "train.json")))


def test_answers_are_found_or_counted(tmp_path):
    data = squad(tmp_path, ("Ann", 0), ("Ann", 7), ("Bo", -1), ("Cy", 3))
    starts = [row.label for row in data.splits["train"]]
    assert starts == [
        (AnswerSpan("Ann", 0),),
        (AnswerSpan("Ann", 8),),
        (AnswerSpan("Bo", 16),),
        (AnswerSpan("Cy", None),),
    ]
    assert data.notes == (
        "train: 2 answers that do not stand at their answer_start (moved to the nearest place where they do) "
        "(first: 1)",
        "train: 1 answers that do not stand in their context (scored, but not trained on) (first: 3)",
    )


@pytest.mark.parametrize(
    "answers", [[{"answer_start": 3}], [{"text": "Ann", "answer_start": "0"}], {"answer_start": 0}]
)
def test_answers_written_in_no_known_way_are_counted(tmp_path, answers):
    qas = [{"id": "1", "question": "q?", "answers": answers}, {"id": "2", "question": "r?", "answers": ["Bo"]}]
    tree = {"data": [{"paragraphs": [{"context": "Ann and Ann met Bo.", "qas": qas}]}]}
    (tmp_path / "train.json").write_text(json.dumps(tree))
    data = read(find_task(str(tmp_path / "train.json")))
    assert "train: 1 answers that are not written as text and answer_start (left out) (first: 1)" in data.notes
    assert [row.label for row in data.splits["train"]] == [None, (AnswerSpan("Bo", 16),)]


def test_broken_tag_schemes_are_counted(tmp_path):
    (tmp_path / "train.conll").write_text("In O\nNew I-LOC\nYork I-LOC\n\nAnn B-PER\nBo I-LOC\nsang O\n")
    data = read(find_task(str(tmp_path / "train.conll")))
    assert data.notes == (
        "train: 2 tags that break the BIO scheme (entities read as conlleval does) (first: train.conll:1)",
    )
    assert data.task.scheme == "bio"


def test_more_words_than_tags(tmp_path):
    rows = [{"tokens": ["a", "b"], "tags": ["X", "Y"]}, {"tokens": ["a", "b"], "tags": ["X"]}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read(find_task(str(tmp_path / "train.jsonl")))
    assert "train: 1 rows with more or fewer tags than words (left out) (first: train.jsonl:2)" in data.notes
    assert len(data.usable("train")) == 1


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([{"label": 0}, {"label": 1}], [0, 1]),
        ([{"label": 1}, {"label": 2}], [0, 1]),
        ([{"answerKey": "A"}, {"answerKey": "B"}], [0, 1]),
        ([{"answer": "d"}, {"answer": "c"}], [1, 0]),
        ([{"label": 1}, {"label": 5}], [0, None]),
        ([{"choices": {"text": ["c", "d"], "label": ["1", "2"]}, "answerKey": "2"}], [1]),
        ([{"label": "①"}, {"label": "②"}, {"label": "２"}], [0, 1, 1]),
        ([{"label": "a"}, {"label": "b"}], [0, 1]),
    ],
)
def test_right_choices_are_written_in_many_ways(tmp_path, rows, labels):
    full = [{"prompt": "a b", "choices": ["c", "d"]} | row for row in rows]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in full))
    data = read(guess(tmp_path / "train.jsonl"))
    assert isinstance(data.task, MultipleChoice)
    assert [row.label for row in data.splits["train"]] == labels


def test_the_training_file_says_for_all_files_where_numbers_begin(tmp_path):
    def write(split, *labels):
        rows = [{"prompt": f"{split} {n}", "choices": ["c", "d"], "label": label} for n, label in enumerate(labels)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    write("train", 0, 1, 1)
    write("dev", 1)
    data = read(find_task(str(tmp_path)))
    assert [row.label for row in data.splits["dev"]] == [1], "one row that says no 0 does not count from 1"
    later = replace(find_task(str(tmp_path / "dev.jsonl")), task=data.task)
    assert [row.label for row in read(later, needs_training=False).splits["dev"]] == [1]


@pytest.mark.parametrize(
    "choices", [{"label": ["A", "B"]}, [{"x": 1}, {"x": 2}], [{"text": "a"}, {"x": 2}], "ab", None]
)
def test_choices_that_are_none_are_one_line(tmp_path, choices):
    row = json.dumps({"prompt": "p", "choices": choices, "label": 0}) + "\n"
    (tmp_path / "train.jsonl").write_text(row * 4)
    with pytest.raises(UserError, match="none has two choices and a right one"):
        read(find_task(str(tmp_path / "train.jsonl"), kind="multiple_choice"))


def test_rows_for_a_model_of_choices_may_have_no_answer(tmp_path):
    (tmp_path / "later.jsonl").write_text(json.dumps({"prompt": "p", "choices": ["c", "d"]}) + "\n")
    source = find_task(str(tmp_path / "later.jsonl"), kind=MultipleChoice(), needs_label=False)
    assert read(source, needs_training=False).splits["all"][0].texts == ("p", "c", "d")


def test_a_prompt_without_a_choice_asks_nothing(tmp_path):
    rows = [{"prompt": "p", "choices": ["c", "d"][: 2 * (n < 3)], "label": n % 2} for n in range(4)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read(find_task(str(tmp_path / "train.jsonl")))
    assert [data.task.has_text(row) for row in data.splits["train"]] == [True, True, True, False]


def test_candidates_of_one_query_make_one_example(tmp_path):
    rows = [("q1", "p1", "no"), ("q2", "p2", "entailment"), ("q1", "p3", "entailment"), ("q3", "p4", "no")]
    (tmp_path / "train.tsv").write_text("question\tsentence\tlabel\n" + "".join("\t".join(r) + "\n" for r in rows))
    data = read(guess(tmp_path / "train.tsv", task=Ranking()))
    assert [(row.texts, row.label) for row in data.splits["train"]] == [
        (("q1", "p1", "p3"), (1,)),
        (("q2", "p2"), (0,)),
        (("q3", "p4"), ()),
    ]
    assert len(data.usable("train")) == 1
    assert (
        "train: 2 queries with a single candidate (left out of training and score) (first: train.tsv:3)" in data.notes
    )


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared data folder is not beside this checkout")
@pytest.mark.parametrize(
    ("name", "kind", "sizes"),
    [
        ("sst2", "SentenceClassification", {"train": 6920, "dev": 872, "test": 1821}),
        ("cola", "SentenceClassification", {"train": 8551, "dev": 527, "dev_out_of_domain": 516}),
        ("trec", "SentenceClassification", {"train": 5452, "test": 500}),
        ("banking77", "SentenceClassification", {"train": 10003, "test": 3080}),
        ("zh_sentiment", "SentenceClassification", {"train": 12831, "test": 1745}),
        ("qnli_part", "PairClassification", {"train": 4355, "dev": 1108}),
        ("snli", "PairClassification", {"dev": 1289, "test": 1277}),
        ("stsb", "Regression", {"train": 5749, "dev": 1500, "test": 1379, "zh-test": 1379}),
        ("wnut17", "Tagging", {"train": 3394, "dev": 1009, "test": 1287}),
        ("ud_pos", "Tagging", {"train": 12544, "dev": 2001, "test": 2077, "fr_gsd-test": 416}),
        ("squad2_part", "QuestionAnswering", {"train": 4065, "dev": 1284}),
        ("xquad", "QuestionAnswering", {"xquad.de": 1190, "xquad.zh": 1190}),
        # Two of dev's 619 rows have one source and several targets: they are one item with several references.
        ("scitldr", "TextToText", {"train": 1992, "dev": 618, "test": 618}),
        ("blimp", "MinimalPairs", {"sample": 4020}),
    ],
)
def test_real_data_sets_are_recognised_and_read_whole(name, kind, sizes):
    source = guess(REAL / name)
    data = read(source, needs_training="train" in source.files)
    assert type(data.task).__name__ == kind
    assert {split: len(data.splits[split]) for split in sizes} == sizes
    if "train" in sizes:
        assert len(data.usable("train")) == sizes["train"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared data folder is not beside this checkout")
def test_the_defects_of_real_data_are_counted():
    data = read(guess(REAL / "cmrc2018"), needs_training=False)
    counts = [int(note.split()[1]) for note in data.notes if "do not stand" in note]
    # As many as the data's own description says.
    assert sum(counts) == 200
    assert {rule_for([row.label for row in rows], data.task.style) for rows in data.splits.values()} == {"cmrc"}
    snli = read(guess(REAL / "snli"), needs_training=False)
    assert snli.notes[0].startswith("dev: 16 rows labelled '-', read as rows without a label")


def test_tags_beside_entities_that_fit_no_scheme_are_counted(tmp_path):
    (tmp_path / "train.conll").write_text("Ada\tB-PER\nsings\tO\n\nOslo\tLOC\nrains\tO\n\nTom\tB-PER\n")
    data = read(find_task(str(tmp_path)))
    assert data.task.scheme == "none"
    assert data.notes == (
        "train: 1 tags of no scheme among B- and I- tags, so no entities are scored (first: train.conll:4)",
    )


def test_labels_that_are_lists_are_none(tmp_path):
    (tmp_path / "train.jsonl").write_text(
        '{"text": "a b", "label": "x"}\n{"text": "c d", "label": ["x", "y"]}\n{"text": "e f", "label": "y"}\n'
    )
    data = read(find_task(str(tmp_path), kind="sentence_classification"))
    assert data.task.labels == ("x", "y")
    assert data.notes == (
        "train: 1 rows with several labels, which --kind multi_label takes (first: train.jsonl:2)",
        "train: 1 rows without a label (first: train.jsonl:2)",
    )


def test_pairs_to_compare_are_nothing_to_train_on(tmp_path):
    (tmp_path / "sample.jsonl").write_text('{"sentence_good": "a b", "sentence_bad": "b a", "UID": "order"}\n')
    with pytest.raises(UserError, match="holds pairs to compare, and nothing to train on; score a model with --pairs"):
        read(find_task(str(tmp_path)))


@pytest.mark.parametrize(("spec", "name"), [("s:some/rows", "s"), ("sst2:some/rows", "sst2"), ("C:\\rows", None)])
def test_a_name_may_be_one_letter_but_a_drive_is_none(spec, name):
    assert named_path(spec)[0] == name
