"""A fine-tuned model on rows that came later."""

import json

import pytest

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.downstream.finetuning.evaluation import evaluate
from afterbert.downstream.finetuning.runs import finetune
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.reading.find_task import find_task
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from afterbert.training.optimizers.adamw import AdamW


@pytest.fixture(scope="module")
def tuned(tiny_model, data_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    tasks = [data_of(SentenceClassification(), "food"), data_of(Tagging(), "names")]
    config = FineTuning(
        budget=Budget(40, "epochs"), batch_size=8, length=64, optimizer=AdamW(learning_rate=3e-3), evaluate_every=None
    )
    finetune(tiny_model, tasks, folder, config)
    return load_finetuned(folder / "seed-0")


def rows(tmp_path, *pairs):
    path = tmp_path / "later.jsonl"
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in pairs))
    return find_task(str(path))


def test_later_rows_are_scored_with_the_model_s_own_labels(tuned, tmp_path):
    pairs = [("we loved every dish", "positive"), ("cold bread and a rude waiter", "negative")]
    done = evaluate(tuned, rows(tmp_path, *pairs, ("friendly people and fresh salad", "neutral")), task="food")
    assert [one.value for one in done.answered["all"]] == ["positive", "negative", "positive"]
    assert done.result.splits["all"].metrics["accuracy"].mean == pytest.approx(2 / 3)
    assert done.data.task.labels == ("negative", "positive")
    assert done.data.notes == ("all: labels that the model does not have (neutral) count as wrong: 1",)
    assert done.result.splits["all"].baseline == "always 'negative', the most frequent label of these rows"


def test_rows_with_none_of_the_model_s_labels_or_without_text_are_one_line(tuned, tmp_path):
    said = "all: none of its labels \\(0, 1\\) occurs in the model \\(negative, positive\\)"
    with pytest.raises(UserError, match=said):
        evaluate(tuned, rows(tmp_path, ("we loved it", "1"), ("a rude waiter", "0")), task="food")
    empty = rows(tmp_path, ("we loved it", "positive"), ("a rude waiter", "negative"))
    (tmp_path / "later.jsonl").write_text('{"text": "", "label": "positive"}\n' * 2)
    with pytest.raises(UserError, match="later: no row has a text"):
        evaluate(tuned, empty, task="food")


def test_the_folder_of_all_seeds_says_where_one_is(tuned):
    with pytest.raises(
        UserError, match="holds fine-tuned models in folders below it; name one of these, such as .*seed-0"
    ):
        load_finetuned(tuned.model.folder.parents[1])


def test_another_kind_of_rows_or_an_unnamed_task_is_one_line(tuned, tmp_path):
    source = rows(tmp_path, ("a b", "x"), ("c d", "y"))
    with pytest.raises(UserError, match="later is sentence classification, but the model answers tagging"):
        evaluate(tuned, source, task="names")
    with pytest.raises(UserError, match="the model answers 2 tasks; name one with --as: known: food, names"):
        evaluate(tuned, source)
    with pytest.raises(UserError, match="has no task 'foot'; name one with --as: did you mean 'food'"):
        evaluate(tuned, source, task="foot")
