"""Tasks written down: every mistake with its line."""

import pytest

from afterbert.base.errors import UserError
from afterbert.downstream.metrics.f1 import F1
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import find_task
from afterbert.downstream.reading.task_file import read_task_file

GOOD = """\
task:
  type: sentence_classification
  labels: [bad, good]
  metrics: [{type: f1, average: macro}]
format: {type: tsv, header: false}
columns: {text: 2, label: 1}
files:
  train: a.txt
  dev: b.txt
"""


def put(tmp_path, text):
    (tmp_path / "a.txt").write_text("good\tfine food\nbad\tcold soup\n")
    (tmp_path / "b.txt").write_text("good\twarm bread\nbad\told fish\n")
    path = tmp_path / "food.yaml"
    path.write_text(text)
    return path


def test_a_task_file_says_it_all(tmp_path):
    data = read(find_task(str(put(tmp_path, GOOD))))
    assert data.name == "food"
    assert [(row.texts, row.label) for row in data.usable("train")] == [
        (("fine food",), "good"),
        (("cold soup",), "bad"),
    ]
    assert data.task.labels == ("bad", "good")
    assert data.task.metrics == (F1("macro"),)


def test_format_and_columns_may_be_left_to_guessing(tmp_path):
    path = put(tmp_path, "task: sentence_classification\nfiles: {train: t.tsv}\n")
    (tmp_path / "t.tsv").write_text("text\tlabel\na b\tx\nc d\ty\n")
    assert [row.label for row in read(read_task_file(path)).usable("train")] == ["x", "y"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            ("train: a.txt", "train: c.txt"),
            "food.yaml:8: files.train: c.txt does not exist beside food.yaml; check the path",
        ),
        (("text: 2", "tekst: 2"), "food.yaml:6: columns.tekst is no part of this task; did you mean 'text'?"),
        (("average: macro", "average: mean"), "food.yaml:4: task.metrics.0.average is 'mean', must be"),
        (("type: tsv", "type: tvs"), "food.yaml:5: format: no format is called 'tvs'; did you mean 'tsv'"),
        (("labels:", "label:"), "food.yaml:3: task.label is not a setting; did you mean 'labels'"),
        (("files:\n", "flies:\n"), "food.yaml:7: flies is not a setting; did you mean 'files'?"),
    ],
)
def test_mistakes_are_named_with_their_lines(tmp_path, change, line):
    with pytest.raises(UserError) as caught:
        read_task_file(put(tmp_path, GOOD.replace(*change)))
    assert caught.value.lines[0].replace(f"{tmp_path}/", "").startswith(line)


def test_options_beside_a_task_file_are_refused(tmp_path):
    with pytest.raises(UserError, match="a task file says kind, format, columns and files itself"):
        find_task(str(put(tmp_path, GOOD)), kind="tagging")


def test_a_column_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="has no column '3' for text; it has 2 columns without names"):
        read(read_task_file(put(tmp_path, GOOD.replace("text: 2", "text: 3"))))


def test_the_name_before_a_task_file_counts(tmp_path):
    source = find_task(f"mine:{put(tmp_path, GOOD)}")
    assert (source.name, source.why) == ("mine", "mine: as food.yaml says")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[bad, good]", "[good]"), "the task names one label, 'good'; name two or more, or leave labels out"),
        (
            ("metrics: [{type: f1, average: macro}]", "label_words: {god: ja}"),
            "label_words names 'god', .* mean 'good'",
        ),
    ],
)
def test_labels_that_say_nothing_are_refused(tmp_path, change, said):
    with pytest.raises(UserError, match=said):
        read(find_task(str(put(tmp_path, GOOD.replace(*change)))))


def test_rows_whose_label_is_not_named_are_told(tmp_path):
    path = put(tmp_path, GOOD.replace("[bad, good]", "[bad, fair]"))
    (tmp_path / "a.txt").write_text("good\tfine food\nbad\tcold soup\nfair\twarm tea\n")
    notes = read(find_task(str(path))).notes
    assert "train: labels that the task does not name (good) are not learned: 1" in notes
    assert any(note.startswith("dev: labels that train does not have (good)") for note in notes)


def test_a_file_may_be_a_folder_of_classes(tmp_path):
    for name in ("bad", "good"):
        (tmp_path / "rows" / name).mkdir(parents=True)
        (tmp_path / "rows" / name / "1.txt").write_text(f"a {name} text")
    (tmp_path / "food.yaml").write_text("task: sentence_classification\nfiles: {train: rows}\n")
    assert read(find_task(str(tmp_path / "food.yaml"))).task.labels == ("bad", "good")
