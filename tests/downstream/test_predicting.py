"""`predict`: the rows of a file, answered by a fine-tuned model in whatever folder it lies."""

import csv
import io
import json

import pytest
import torch

from afterbert.base.errors import UserError
from afterbert.cli.main import run
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.prediction import Answerer
from afterbert.downstream.finetuning.saving import load_finetuned, save_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.tasks.multiple_choice import MultipleChoice
from afterbert.downstream.tasks.question_answering import QuestionAnswering
from afterbert.downstream.tasks.ranking import Ranking
from afterbert.downstream.tasks.regression import Regression
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.workflows.exporting import export_model_folder
from afterbert.workflows.prediction import PredictRequest, predict_file
from invented_examples import invented

COLUMNS = {
    "food": {"text": "review", "label": "mood"},
    "names": {"words": "words", "tags": "tags"},
    "alike": {"first": "sentence1", "second": "sentence2", "score": "score"},
    "story": {"prompt": "prompt", "choices": "a+b+c", "right": "right"},
    "search": {"query": "query", "candidate": "passage", "label": "label"},
    "bridge": {"question": "question", "context": "context", "answers": "answers"},
}
TASKS = {
    "food": SentenceClassification(),
    "names": Tagging(),
    "alike": Regression(),
    "story": MultipleChoice(counts_from=1),
    "search": Ranking(),
    "bridge": QuestionAnswering(),
}


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory):
    """Task -> the folder of a model with heads of random weights, laid out as a run of one seed."""
    root = tmp_path_factory.mktemp("models")
    for name, task in TASKS.items():
        rows = invented(task)
        data = TaskData(name, task.settled(rows), {"train": rows, "dev": rows}, (), COLUMNS[name])
        bench = Bench.of(tiny_model, [data], FineTuning(length=48))
        torch.manual_seed(4)
        module = bench.module()
        with torch.no_grad():
            for parameter in module.heads.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.3)
        save_finetuned(root / name / "seed-0" / "model", module.eval(), bench.asked)
    return root


def answered(models, name, content, tmp_path, *, file="rows.csv", **how):
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    out = io.StringIO()
    done = predict_file(PredictRequest(str(models / name), str(path), **how), stream=out)
    return done, out.getvalue()


def test_a_table_comes_back_with_label_and_probabilities(models, tmp_path):
    content = "id;review\r\n1;we loved every dish\r\n2;\r\n3;cold bread\r\n"
    done, text = answered(models, "food", content, tmp_path)
    head, *rows = (line.split(";") for line in text.split("\r\n")[:-1])
    assert head == ["id", "review", "prediction", "confidence", "probability_negative", "probability_positive"]
    assert [row[0] for row in rows] == ["1", "2", "3"] and rows[1] == ["2", "", "", "", "", ""]
    for row in (rows[0], rows[2]):
        chances = dict(zip(("negative", "positive"), map(float, row[4:])))
        assert chances[row[2]] == max(chances.values()) == float(row[3])
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
    assert done.rows == 3 and done.columns == {"text": "review"}
    assert done.notes == (f"1 rows have no text (first: {tmp_path}/rows.csv:3): nothing is predicted for them",)


@pytest.mark.parametrize(
    ("head", "row", "between", "comma"),
    [
        ("id;review", "0,5;cold bread", ";", True),
        ("id\treview", "-12,25\tcold bread", "\t", True),
        ("id,review", '"0,5",cold bread', ",", True),
        ("id;review", "0.5;cold bread", ";", False),
        ("id;review", "1,234;cold bread", ";", False),
    ],
)
def test_numbers_are_written_as_the_file_writes_its_own(models, tmp_path, head, row, between, comma):
    _, text = answered(models, "food", f"{head}\n{row}\n", tmp_path)
    _, told = csv.reader(io.StringIO(text), delimiter=between)
    assert [("," in cell, "." in cell) for cell in told[3:]] == [(comma, not comma)] * 3


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.csv", 'review\n"we loved every dish"\n'),
        ("a.csv", "we loved every dish\n"),
        ("a.tsv", "review\nwe loved every dish\n"),
        ("a.txt", "we loved every dish\n"),
        ("a.jsonl", '{"review": "we loved every dish"}\n'),
        ("a.csv", 'id;review\n"a, b,\nc";"we loved every dish"\n'),
        ("a.csv", "mood,REVIEW\n,we loved every dish\n"),
        ("a.csv", "id,sentence\n1,we loved every dish\n"),
        ("a.json", '[{"review": "we loved every dish"}]'),
        ("a.csv", "\ufeffreview\tid\r\nwe loved every dish\t7\r\n".encode("utf-16-le")),
    ],
)
def test_the_same_text_gets_the_same_answer_from_any_file(models, tmp_path, file, content):
    expected = answered(models, "food", "review\nwe loved every dish\n", tmp_path)[1].splitlines()[1]
    wanted = dict(zip(("prediction", "confidence"), expected.split(",")[1:]))
    done, text = answered(models, "food", content, tmp_path, file=file)
    assert wanted["confidence"] in text and wanted["prediction"] in text
    assert done.rows == 1


def test_the_number_of_a_column_is_no_name_that_its_first_row_could_hold(models, tmp_path):
    done, _ = answered(
        models, "food", "2\twe loved every dish\n1\tcold bread\n", tmp_path, file="a.tsv", columns="text=2"
    )
    assert done.rows == 2 and done.columns == {"text": "2"}


def test_a_workbook_is_not_written_and_an_empty_text_not_taken_for_a_folder(models, tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("review\ncold bread\n")
    asked = ["predict", str(models / "food")]
    assert run([*asked, str(tmp_path / "rows.csv"), "--out", str(tmp_path / "answers.xlsx")]) == 2
    assert "answers.xlsx: .xlsx files are not written; end its name in .csv" in capsys.readouterr().err
    assert run([*asked, ""]) == 2
    assert "error: the text is empty; write one" in capsys.readouterr().err


def test_another_vocabulary_says_that_the_heads_stay_behind(models, tmp_path, capsys):
    (tmp_path / "more.txt").write_text("we loved every dish\n" * 3)
    words = ["adapt-vocabulary", str(models / "food" / "seed-0"), str(tmp_path / "more.txt"), "--how", "trim"]
    assert run([*words, "--out", str(tmp_path / "other")]) == 0
    assert "its heads for tasks are left out; fine-tune the new model" in capsys.readouterr().out


def test_columns_can_be_named_and_what_is_missing_is_said(models, tmp_path):
    content = "id,opinion\nx,we loved every dish\n"
    assert answered(models, "food", content, tmp_path, columns="text=2")[0].columns == {"text": "opinion"}
    with pytest.raises(UserError, match=r"no column for text among id, opinion; say --columns text=\.\.\."):
        answered(models, "food", content, tmp_path)
    with pytest.raises(UserError, match="has no column 'opinon' for text; did you mean 'opinion'"):
        answered(models, "food", content, tmp_path, columns="text=opinon")
    with pytest.raises(UserError, match="did you mean 'text'"):
        answered(models, "food", content, tmp_path, columns="txt=opinion")
    with pytest.raises(UserError, match="no row has a text in opinion; check the columns"):
        answered(models, "food", "id,opinion\nx,\n", tmp_path, columns="text=opinion")


def test_every_kind_of_task_says_what_it_can(models, tmp_path):
    _, text = answered(models, "alike", "sentence1,sentence2\na cat sleeps,it rains\n", tmp_path)
    assert text.splitlines()[0] == "sentence1,sentence2,prediction" and float(text.splitlines()[1].split(",")[2])
    rows = [{"prompt": "It was dark , so they", "a": "were seven", "b": "lit a lamp", "c": "swam in bread"}]
    _, text = answered(models, "story", json.dumps(rows[0]), tmp_path, file="a.jsonl")
    told = json.loads(text)
    assert told["answer"] == rows[0]["abc"[told["prediction"] - 1]] and 1 / 3 < told["confidence"] < 1
    context = "The old bridge was built in 1880 by Anna Holm."
    row = {"question": "Who built the bridge?", "context": context}
    _, text = answered(models, "bridge", json.dumps(row), tmp_path, file="a.jsonl")
    told = json.loads(text)
    assert list(told) == ["question", "context", "prediction", "confidence", "start", "end"]
    assert told["prediction"] == ("" if told["start"] is None else context[told["start"] : told["end"]])
    assert 0 < told["confidence"] <= 1


def test_candidates_of_one_query_are_ranked_together(models, tmp_path):
    rows = ["where is the key ?\tunder the mat", "where is the key ?\ton tuesday", "who wrote it ?\tmy sister"]
    _, text = answered(models, "search", "query\tpassage\n" + "\n".join(rows) + "\n", tmp_path, file="a.tsv")
    head, *told = (line.split("\t") for line in text.splitlines())
    assert head == ["query", "passage", "score", "rank"]
    first, second = float(told[0][2]), float(told[1][2])
    assert [row[3] for row in told] == (["1", "2", "1"] if first > second else ["2", "1", "1"])


def test_entities_stand_where_they_are_said_to_stand(models, tmp_path):
    text = "In  Oslo, Ada Berg sings."
    _, out = answered(models, "names", json.dumps({"words": text}), tmp_path, file="a.jsonl")
    told = json.loads(out)
    assert told["words"] == text and told["words_2"] == ["In", "Oslo", ",", "Ada", "Berg", "sings", "."]
    assert len(told["prediction"]) == 7 and told["entities"]
    for one in told["entities"]:
        assert text[one["start"] : one["end"]] == one["text"] and 0 < one["confidence"] <= 1
    _, out = answered(models, "names", "In\nOslo\n\nTom\n", tmp_path, file="words.txt")
    assert [len(line.split()) for line in out.splitlines()] == [2, 2, 0, 2]


def test_answers_equal_those_of_a_pipeline(models, tmp_path):
    from transformers import pipeline

    classify = pipeline("text-classification", model=str(models / "food" / "seed-0" / "model"), top_k=None)
    texts = ["we loved every dish", "the worst pie in town", "fresh salad"]
    _, text = answered(models, "food", "\n".join(texts), tmp_path, file="a.txt")
    for line, theirs in zip(text.splitlines()[1:], classify(texts)):
        ours = dict(zip(("negative", "positive"), map(float, line.split(",")[3:])))
        assert ours == pytest.approx({one["label"]: one["score"] for one in theirs}, abs=1e-5)
    tag = pipeline(
        "token-classification", model=str(models / "names" / "seed-0" / "model"), aggregation_strategy="first"
    )
    sentences = [" ".join(row.texts) for row in invented(Tagging())]
    answerer = Answerer(load_finetuned(models / "names" / "seed-0"), "names")
    compared = 0
    for sentence, ours in zip(sentences, answerer.rows(sentences)):
        theirs = tag(sentence)
        assert ours.entities is not None
        # They join neighbours by other rules than conlleval's; what both see as one entity must be the same.
        wanted = {(one["start"], one["end"]): (one["entity_group"], one["score"]) for one in theirs}
        for one in ours.entities:
            if (one.start, one.end) in wanted:
                label, score = wanted[one.start, one.end]
                assert one.label == label and one.confidence == pytest.approx(float(score), abs=1e-5)
                compared += 1
    assert compared > 5


def test_run_seed_model_and_exported_folder_answer_alike(models, tmp_path):
    (source,) = export_model_folder(models / "food", tmp_path / "out")
    places = [models / "food", models / "food" / "seed-0", models / "food" / "seed-0" / "model", source.folder]
    (tmp_path / "a.txt").write_text("we loved every dish\n")
    told = set()
    for place in places:
        out = io.StringIO()
        predict_file(PredictRequest(str(place), str(tmp_path / "a.txt")), stream=out)
        told.add(out.getvalue())
    assert len(told) == 1


def test_a_broken_row_leaves_nothing_behind(models, tmp_path, capsys, monkeypatch):
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_text('{"review": "we loved it"}\n' * 2000 + '{"review": "x"\n' + '{"text": "x"}\n')
    asked = ["predict", str(models / "food"), str(rows)]
    assert run([*asked, "--out", str(out)]) == 2
    said = capsys.readouterr()
    assert f"{rows}:2001: is not JSON" in said.err and f"{rows}:2002: has no 'review'" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl"]
    assert run(asked) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("file", "content", "kept"),
    [
        ("a.conll", "Tom O\nsaw O\nOslo B-x\n\n", []),
        ("b.conll", "# id 7 domain=en\nTom _ _ O\nsaw _ _ O\nOslo _ _ B-x\n\n", ["# id 7 domain=en"]),
        ("c.conll", "word tag\nTom O\nsaw O\nOslo B-x\n\n", ["word tag"]),
        ("d.iob2", "# sent_id = 1\n1\tTom\tO\tme\n2\tsaw\tO\tme\n3\tOslo\tB-x\tme\n\n", ["# sent_id = 1"]),
        ("e.csv", "Sentence #,word\nSentence: 1,Tom\n,saw\n,Oslo\nSentence: 2,Tom\n", []),
        ("f.csv", "words\n\"['Tom', 'saw', 'Oslo']\"\n", []),
    ],
)
def test_words_are_found_wherever_they_stand(models, tmp_path, file, content, kept):
    """Remarks, names of columns, counters and brackets were tagged as words, and a word a row was a sentence."""
    expected = answered(models, "names", "Tom O\nsaw O\nOslo B-x\n\n", tmp_path, file="x.conll")[1]
    tags = [line.split()[-1] for line in expected.splitlines() if line]
    _, lines = answered(models, "names", content, tmp_path, file=file)
    if file == "f.csv":
        assert lines.splitlines()[1].split('"')[2].split(",")[1].split() == tags
    else:
        written = [line for line in lines.splitlines() if any(word in line for word in ("Tom", "saw", "Oslo"))]
        assert [line.replace(",", " ").split()[-1] for line in written][:3] == tags
    assert [line for line in lines.splitlines() if line in kept] == kept


def test_rows_on_a_terminal_cannot_act(models, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.csv").write_text("review\n" + "we loved every dish " * 9 + "\x1b[31m soup \u202e\n")
    assert run(["predict", str(models / "food"), "new.csv"]) == 0
    assert "\x1b[31m" in capsys.readouterr().out  # a pipe gets them as they are
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(["predict", str(models / "food"), "new.csv"]) == 0
    told = capsys.readouterr().out
    assert "soup" in told and "\x1b" not in told and "\u202e" not in told


def test_a_folder_is_no_text_and_a_known_column_no_row(models, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["predict", str(models / "food"), str(models)]) == 2
    assert "is a folder; name a file of rows in it" in capsys.readouterr().err
    (tmp_path / "new.csv").write_text("review\nfine soup\ncold bread\n")
    assert run(["score", str(models / "food"), "--task", "new.csv"]) == 0
    assert "2 rows without a label" in capsys.readouterr().out


def test_the_verb_writes_files_prints_rows_and_answers_texts(models, tmp_path, capsys, monkeypatch):
    rows, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    rows.write_bytes("\ufeffreview\r\nwe loved every dish\r\n".encode())
    asked = ["predict", str(models / "food"), str(rows)]
    assert run([*asked, "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbfreview,prediction,") and out.read_bytes().endswith(b"\r\n")
    assert "1 rows answered; read: text = 'review'" in capsys.readouterr().out
    assert run([*asked, "--out", str(out)]) == 2
    assert "is there already; name another file, or say --overwrite" in capsys.readouterr().err
    assert run([*asked, "--out", str(out), "--overwrite"]) == 0
    assert run([*asked, "--out", str(rows)]) == 2
    assert "is the file that is read" in capsys.readouterr().err
    assert run([*asked, "--out", str(tmp_path / "out.jsonl")]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8-sig"))["probability"]
    capsys.readouterr()
    assert run(asked) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].startswith("review,prediction") and "1 rows answered" in said.err
    assert run(["predict", str(models / "food"), "we loved every dish"]) == 0
    assert "positive" in capsys.readouterr().out
    assert run(["predict", str(models / "food"), "new.csv"]) == 2
    assert "new.csv: there is no such file" in capsys.readouterr().err
    assert run(["predict", str(models / "alike"), "one text"]) == 2
    assert "this task reads 2 (sentence1, sentence2)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("food", "new.csv", 'review\n"we loved every dish"\n"cold, bread"\n'),
        ("food", "new.csv", "we loved every dish\ncold bread\n"),
        ("food", "new.tsv", "review\nwe loved every dish\ncold bread\n"),
        ("food", "new.txt", "we loved every dish\ncold bread\n"),
        ("food", "new.jsonl", '{"review": "we loved every dish"}\n{"review": "cold bread"}\n'),
        ("food", "new.csv", "id,review,mood\n1,we loved every dish,\n2,cold bread,\n"),
        ("names", "new.txt", "In\nOslo\n\nTom\n"),
        ("names", "new.conll", "In\nOslo\n\nTom\n"),
    ],
)
def test_new_rows_are_scored_from_any_file_that_is_predicted(
    models, tmp_path, capsys, monkeypatch, name, file, content
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).write_text(content)
    assert run(["score", str(models / name), "--task", file]) == 0
    assert "no row has a label, so nothing can be scored" in capsys.readouterr().out
    (found,) = tmp_path.glob("runs/score-new-*/predictions/new.all.jsonl")
    assert len(found.read_text().splitlines()) == 2


def test_what_score_advises_it_takes(models, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.xyz").write_text("we loved every dish\ncold bread\n")
    asked = ["score", str(models / "food"), "--task", str(tmp_path / "new.xyz")]
    assert run(asked) == 2
    assert "name one with --format (" in capsys.readouterr().err
    assert run([*asked, "--format", "txt"]) == 0
