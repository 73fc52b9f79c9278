"""The search finds a rate that learns, within its budget, and goes on where it was broken off."""

import json
import math
from dataclasses import replace

import pytest

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.downstream.finetuning import rate_search
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.layer_decay import LayerDecay
from afterbert.downstream.finetuning.rate_search import _on_held_out, search
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.training.observers import Observer
from afterbert.training.optimizers.adafactor import Adafactor
from afterbert.training.optimizers.adamw import AdamW
from afterbert.workflows.finetune_request import _folder_for
from invented_examples import invented


@pytest.fixture
def bench(tiny_model, data_of):
    rows = invented(SentenceClassification())
    many = [replace(row, key=f"{row.key}/{n}", texts=(f"{row.texts[0]} {n}",)) for n in range(12) for row in rows]
    return Bench.of(tiny_model, [data_of(SentenceClassification(), rows=many)], FineTuning(batch_size=8, length=64))


class Stumble(Observer):
    """Breaks off the run of that number."""

    def __init__(self, at=0):
        self.begun, self.at = 0, at

    def on_start(self, *, step, total_steps):
        self.begun += 1
        if self.begun == self.at:
            raise RuntimeError("stumbled")


def test_the_rate_that_learns_is_found_and_no_dev_row_is_seen(bench, tmp_path):
    rates = (1e-9, 3e-3, 1e-3)
    with pytest.raises(RuntimeError, match="stumbled"):
        search(replace(bench, observers=[Stumble(at=3)]), Budget(280, "steps"), tmp_path, rates=rates)
    counted = Stumble()
    found = search(replace(bench, observers=[counted]), Budget(280, "steps"), tmp_path, rates=rates)
    assert counted.begun == 3, "two of the five runs were finished before"
    assert found.learning_rate in (1e-3, 3e-3)
    assert [(t.round, t.steps) for t in found.trials] == [(1, 40)] * 3 + [(2, 80)] * 2
    assert [t.learning_rate for t in found.trials[:3]] == sorted(rates)
    assert json.loads((tmp_path / "search.json").read_text())["learning_rate"] == found.learning_rate
    written = next(tmp_path.glob("*/*/predictions/toy.dev.jsonl")).read_text()
    keys = [json.loads(line)["key"] for line in written.splitlines()]
    assert keys and not any(key.startswith("d") for key in keys)
    assert not list(tmp_path.glob("*/*/model")), "the runs leave no models"


@pytest.mark.parametrize(("optimizer", "highest"), [(AdamW(), 2e-3), (Adafactor(), 2e-2)])
def test_rates_that_are_shares_of_a_weight_are_higher(optimizer, highest, bench, tmp_path, monkeypatch):
    tried = []

    def no_run(trial_bench, rate, span, out, number, **_):
        tried.append(rate)
        return rate_search.Trial(number, rate, 5, figure=rate)

    monkeypatch.setattr(rate_search, "_try", no_run)
    bench = bench.with_settings(replace(bench.settings, optimizer=LayerDecay(optimizer, decay=0.9)))
    assert search(bench, Budget(240, "steps"), tmp_path).learning_rate == max(tried) == highest


def test_a_budget_that_decides_nothing_is_one_line(bench, tmp_path):
    with pytest.raises(UserError, match="shortest runs would have fewer than 5 steps, .* at least 120steps"):
        search(bench, Budget(30, "steps"), tmp_path)


def test_where_dev_was_held_out_already_other_rows_are_held_out_for_the_search(bench):
    rows = bench.tasks[0].splits["train"]
    without = replace(bench.tasks[0], splits={"train": rows})
    tried = _on_held_out(Bench.of(bench.asked.model, [without], bench.settings))
    dev = {row.key for row in without.with_dev(seed=bench.settings.seed).splits["dev"]}
    held = {row.key for row in tried.tasks[0].splits["dev"]}
    assert dev and held and not dev & (held | {row.key for row in tried.tasks[0].splits["train"]})


def test_a_rate_that_breaks_the_loss_is_no_end_of_the_search(bench, tmp_path):
    found = search(bench, Budget(20, "steps"), tmp_path, rates=(1e-3, 1e30))
    assert found.learning_rate == 1e-3
    assert [(t.learning_rate, t.figure == -math.inf) for t in found.trials] == [(1e-3, False), (1e30, True)]
    kept = json.loads((tmp_path / "search.json").read_text())["trials"]
    assert [trial["figure"] is None for trial in kept] == [False, True]
    with pytest.raises(UserError, match="the loss is no number with any rate from 1e\\+30 on"):
        search(bench, Budget(20, "steps"), tmp_path / "all", rates=(1e30, 2e30))


def test_a_search_of_another_length_has_a_folder_of_its_own(bench):
    folders = [_folder_for(bench, searched) for searched in (None, "100steps", "200steps", "100steps")]
    assert folders[1] == folders[3] and len(set(folders)) == 3
