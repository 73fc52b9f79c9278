"""What files are taken for, why, and what is said where no guess can be made."""

import json
from types import MappingProxyType

import pytest

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import find_task, parse_columns
from afterbert.downstream.reading.hub import fetch, write
from afterbert.downstream.reading.source import split_files

OPINIONS = [("a fine film", "1"), ("a dull one", "0"), ("I laughed a lot", "1"), ("we left early", "0")]


def put(path, rows, separator="\t", header=None):
    lines = ([separator.join(header)] if header else []) + [separator.join(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_guess_says_what_and_why(tmp_path):
    put(tmp_path / "train.tsv", OPINIONS)
    source = find_task(f"movies:{tmp_path}")
    assert source.why == (
        "movies: sentence classification (guessed: tsv without header, by what the columns hold): "
        "text = column 1, label = column 2"
    )
    put(tmp_path / "x.csv", OPINIONS, ",", ("review", "stars"))
    source = find_task(str(tmp_path / "x.csv"))
    assert source.why == (
        "x: sentence classification (guessed: csv with header, by column names): text = 'review', label = 'stars'"
    )


@pytest.mark.parametrize(
    ("rows", "kind", "columns"),
    [
        ([{"premise": "a b", "hypothesis": "c d", "label": i % 3} for i in range(9)], "pair_classification", None),
        ([{"sentence1": "a b", "sentence2": "c", "label": i / 2} for i in range(9)], "regression", None),
        ([{"sentence1": "a b", "sentence2": "c", "score": i % 5} for i in range(9)], "regression", None),
        ([{"text": "a b", "score": i / 2} for i in range(9)], "regression", {"first": "text", "score": "score"}),
        ([{"tokens": ["a", "b"], "ner_tags": [0, 1]}] * 4, "tagging", None),
        ([{"ctx": "a b", "endings": ["c", "d"], "label": "1"}] * 4, "multiple_choice", None),
        (
            [{"sent1": "a b", "ending0": "c", "ending1": "d", "ending2": "e", "label": i % 3} for i in range(4)],
            "multiple_choice",
            {"prompt": "sent1", "choices": "ending0+ending1+ending2", "right": "label"},
        ),
        ([{"document": "a b c", "summary": "a", "id": str(i)} for i in range(4)], "text_to_text", None),
        ([{"question": "a?", "context": "b", "answers": {"text": [], "answer_start": []}}], "question_answering", None),
        ([{"utterance": "a b", "intent": "x"}], "sentence_classification", None),
    ],
)
def test_kinds_are_told_by_column_names(tmp_path, rows, kind, columns):
    source = find_task(str(jsonl(tmp_path / "rows.jsonl", *rows)))
    assert name_of(source.task) == kind
    assert columns is None or source.columns == columns


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([(f"a {i}", f"{i / 2}") for i in range(8)], "regression"),
        ([(f"a {i}", f"c {i}", f"{i / 2}") for i in range(8)], "regression"),
        ([(f"a {i}", f"c {i}", "yn"[i % 2]) for i in range(8)], "pair_classification"),
        ([(f"{i}", f"a {i}", "yn"[i % 2]) for i in range(8)], "sentence_classification"),
        ([(f"a {i}", f"ein {i}") for i in range(8)], "text_to_text"),
        ([(f"我 {i}", "好坏"[i % 2]) for i in range(8)], "sentence_classification"),
    ],
)
def test_kinds_are_told_by_values(tmp_path, rows, kind):
    assert name_of(find_task(str(put(tmp_path / "rows.tsv", rows))).task) == kind


def test_what_is_given_is_not_guessed(tmp_path):
    path = put(tmp_path / "train.tsv", [(*row, "z z") for row in OPINIONS], header=("a", "b", "c"))
    source = find_task(str(path), columns=parse_columns("text=1,label=b"))
    assert (name_of(source.task), source.columns) == ("sentence_classification", {"text": "a", "label": "b"})
    rows = [{"query": "q", "passage": f"p {i}", "label": i % 2} for i in range(4)]
    path = jsonl(tmp_path / "rows.jsonl", *rows)
    assert name_of(find_task(str(path)).task) == "pair_classification"
    assert name_of(find_task(str(path), kind="ranking").task) == "ranking"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": {"text": "sentense"}}, "has no column 'sentense' for text; did you mean 'sentence'?"),
        ({"columns": {"text": "9"}}, "has no column '9' for text; known: sentence, label"),
        ({"columns": {"sentence": "label"}}, "--columns sentence=label: "),
        ({"kind": "classification"}, "no task is called 'classification'; did you mean"),
        (
            {"kind": "question_answering"},
            "for question answering cannot be told from 'sentence' (text), 'label' (class)",
        ),
        (
            {"format": "xlsx"},
            "no format is called 'xlsx'; known: class_folders, conll, conllu, csv, fasttext, jsonl, label_studio, "
            "spans, squad, text_and_labels, trec, tsv",
        ),
        ({"format": "trec"}, "train.tsv:1: does not begin with COARSE:fine"),
    ],
)
def test_refusals_are_one_line(tmp_path, options, said):
    path = put(tmp_path / "train.tsv", OPINIONS, header=("sentence", "label"))
    with pytest.raises(UserError) as caught:
        find_task(str(path), **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_guess_names_the_columns_and_the_way_out(tmp_path):
    path = put(tmp_path / "train.tsv", [(f"id{i}", f"x{i}") for i in range(50)])
    with pytest.raises(UserError, match=r"cannot be told from its columns column 1 \(other\), .* --kind .*--columns"):
        find_task(str(path))


def test_missing_paths(tmp_path):
    with pytest.raises(UserError, match="does not exist; name a data file or a folder"):
        find_task(str(tmp_path / "nothing.tsv"))
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(UserError, match="holds no data file"):
        find_task(str(tmp_path))
    with pytest.raises(UserError, match="is no part=column"):
        parse_columns("text")


def test_folders_are_split_by_file_names(tmp_path):
    names = ["en-train.csv", "en-dev.csv", "en-test.csv", "de-test.csv", "LICENSE.txt", ".hidden", "README.md"]
    for name in names:
        (tmp_path / name).write_text("a,b\n")
    found = {split: path.name for split, path in split_files(tmp_path).items()}
    assert found == {"train": "en-train.csv", "dev": "en-dev.csv", "test": "en-test.csv", "de-test": "de-test.csv"}
    assert list(split_files(tmp_path / "en-dev.csv")) == ["dev"]


def test_a_name_before_a_colon_but_not_in_a_path(tmp_path):
    put(tmp_path / "train.tsv", OPINIONS)
    assert find_task(f"sst2:{tmp_path}").name == "sst2"
    odd = tmp_path / "a:b.tsv"
    put(odd, OPINIONS)
    assert find_task(str(odd)).name == "a:b"


def test_a_test_file_without_labels_is_read_all_the_same(tmp_path):
    put(tmp_path / "train.tsv", OPINIONS, header=("sentence", "label"))
    put(tmp_path / "test.tsv", [("0", "unseen text"), ("1", "more text")], header=("index", "sentence"))
    data = read(find_task(str(tmp_path)))
    assert [row.texts for row in data.splits["test"]] == [("unseen text",), ("more text",)]
    assert [row.label for row in data.splits["test"]] == [None, None]
    with pytest.raises(UserError, match="no row of test has text and a label"):
        data.usable("test")


def test_headers_are_decided_once_for_all_files(tmp_path):
    put(tmp_path / "train.tsv", OPINIONS * 3)
    # Taken alone, the first of these two lines would pass for a header.
    put(tmp_path / "test.tsv", [("text", "1"), ("a bad one", "0")])
    assert len(read(find_task(str(tmp_path))).splits["test"]) == 2


def test_a_models_own_columns_without_names_make_no_header(tmp_path):
    put(tmp_path / "later.tsv", OPINIONS * 3)  # the first row's label is the number of the training file's first column
    known = find_task(str(tmp_path)).task
    source = find_task(str(tmp_path / "later.tsv"), kind=known, usual={"text": "1", "label": "2"}, needs_label=False)
    assert [row.label for row in read(source, needs_training=False).splits["all"]] == ["1", "0"] * 6


def test_hub_splits_become_plain_files(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = datasets.Dataset.from_dict({"sentence": ["a b", "c d", "e f"], "label": [1, 0, -1]}, features=features)
    (tmp_path / "sst2").mkdir()
    write(rows, tmp_path / "sst2" / "train.jsonl")
    data = read(find_task("hub:sst2", cache=tmp_path))
    assert [row.label for row in data.splits["train"]] == ["yes", "no", None]


def test_a_fetch_that_was_broken_off_does_not_pass_for_a_whole_one(tmp_path, monkeypatch):
    class Rows(list):
        features = MappingProxyType({"sentence": None})

    class Broken(Rows):
        def __iter__(self):
            raise ConnectionError("gone")

    loads = iter([{"train": Rows([{"sentence": "a b"}]), "validation": Broken()}, {"train": Rows([{"sentence": "c"}])}])
    monkeypatch.setattr("afterbert.downstream.reading.hub._load", lambda name: next(loads))
    with pytest.raises(ConnectionError):
        fetch("sst2", tmp_path)
    folder = fetch("sst2", tmp_path)
    assert [path.name for path in folder.iterdir()] == ["train.jsonl"]
    assert "c" in (folder / "train.jsonl").read_text()


def test_the_hub_out_of_reach_is_one_line(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")

    def unreachable(*arguments):
        raise ConnectionError("Couldn't reach 'glue' on the Hub\nTraceback")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(UserError, match=r"^hub:glue/sst2 cannot be fetched \(Couldn't reach 'glue' on the Hub\)"):
        fetch("glue/sst2", tmp_path)
    assert list(tmp_path.iterdir()) == []
