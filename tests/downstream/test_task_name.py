"""A task may be called as any file may be called."""

import json

import pytest

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.downstream.finetuning.runs import finetune
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.reading.find_task import find_task, named_path
from afterbert.downstream.task_name import checked_name, module_key
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from invented_examples import invented

# Methods and attributes of torch's modules, dots, blanks, umlauts, what a dot is escaped with.
NAMES = ["train", "type", "reviews.v2", "reviews%2Ev2", "my reviews (1)", "bewertungen-ä", "training", "評論"]


def test_tasks_of_any_name_train_side_by_side_and_are_loaded_again(tiny_model, tmp_path, data_of):
    tasks = [data_of(SentenceClassification(), name) for name in NAMES]
    settings = FineTuning(budget=Budget(8, "steps"), batch_size=8, evaluate_every=None)
    done = finetune(tiny_model, tasks, tmp_path, settings)
    assert [result.name for result in done.results] == NAMES
    run = tmp_path / "seed-0"
    assert list(load_finetuned(run).tasks) == NAMES
    for name in NAMES:
        line = (run / "predictions" / f"{name}.dev.jsonl").read_text().split("\n")[0]
        assert json.loads(line)["prediction"] in ("positive", "negative")


@pytest.mark.parametrize("name", [*NAMES, "."])
def test_a_file_or_folder_gives_its_name(name, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    path = folder / f"{name}.csv" if name != "." else folder / "all.csv"
    rows = [f"{row.texts[0]},{row.label}" for row in invented(SentenceClassification())]
    path.write_text("\n".join(["text,label", *(row.replace(" , ", " ") for row in rows)]) + "\n")
    monkeypatch.chdir(folder)
    assert find_task(path.name if name != "." else ".").name == ("data" if name == "." else name)


def test_keys_are_distinct_and_torch_takes_them():
    keys = [module_key(name) for name in NAMES]
    assert len(set(keys)) == len(NAMES)
    assert not any("." in key for key in keys)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "", " ", "..", "x" * 300, "a\nb"])
def test_a_name_that_no_file_could_have_is_refused_in_one_line(name):
    with pytest.raises(UserError, match="say NAME:PATH") as caught:
        checked_name(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("written", ["bewertungen-ä:x.csv", "my reviews (1):x.csv", "評論:x.csv"])
def test_a_name_before_a_colon_may_be_of_any_script(written):
    name, path = named_path(written)
    assert (name, str(path)) == (written.split(":")[0], "x.csv")
