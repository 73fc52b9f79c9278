"""The last layer of a fine-tuning starts as a linear model of the states."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from afterbert.base.noise import Noise
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.probed_start import _fit, start_from_probes
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.task_name import head_key
from afterbert.downstream.tasks.pair_classification import PairClassification
from afterbert.downstream.tasks.regression import Regression
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging

TASKS = [SentenceClassification, PairClassification, Regression]


def drawn(classes: int, rows: int = 200, width: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Features of unlike scale around a common point, and classes that a plane divides."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(rows, width))
    return features * np.geomspace(0.01, 10, width) + 5, (features @ rng.normal(size=(width, classes))).argmax(1)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_answers_what_the_linear_model_answers(classes):
    features, labels = drawn(classes)
    last = nn.Linear(features.shape[1], classes)
    _fit(last, features, labels)
    spread = (features - features.mean(0)) / (features.std(0) + 1e-6)
    theirs = LogisticRegression(C=0.01, max_iter=300).fit(spread, labels)
    chances = torch.softmax(last(torch.from_numpy(features).float()), -1).detach().numpy()
    np.testing.assert_allclose(chances, theirs.predict_proba(spread), atol=2e-3)


def test_a_number_is_that_of_ridge_regression():
    features, _ = drawn(2)
    labels = (features @ np.ones(features.shape[1])).astype(np.float32)
    last = nn.Linear(features.shape[1], 1)
    _fit(last, features, labels)
    spread = (features - features.mean(0)) / (features.std(0) + 1e-6)
    theirs = Ridge(alpha=100).fit(spread, labels).predict(spread)
    np.testing.assert_allclose(last(torch.from_numpy(features).float())[:, 0].detach(), theirs, atol=1e-2)


def test_a_class_without_rows_is_the_least_likely():
    features, labels = drawn(3)
    last = nn.Linear(features.shape[1], 4)
    _fit(last, features, np.where(labels == 1, 3, labels))
    said = last(torch.from_numpy(features).float()).argmax(-1)
    assert set(said.tolist()) == {0, 2, 3}


def test_one_class_alone_leaves_the_layer():
    last = nn.Linear(6, 2)
    before = last.weight.clone()
    _fit(last, drawn(2)[0], np.zeros(200, dtype=np.int64))
    assert torch.equal(last.weight, before)


@pytest.mark.parametrize("task", TASKS)
def test_heads_for_rows_start_better_than_by_chance(task, tiny_model, data_of):
    bench = Bench.of(tiny_model, [data_of(task())], FineTuning(length=64, summary="mean"))
    assert bench.asked.head_start == "probed"
    module = bench.module()
    again, before = copy.deepcopy(module), _loss(bench, module)
    for one in (module, again):
        start_from_probes(one, bench.asked, Noise(0))
    assert _loss(bench, module) < before
    assert all(torch.equal(tensor, again.state_dict()[key]) for key, tensor in module.state_dict().items())


def test_heads_for_pieces_and_heads_learned_before_stay(tiny_model, data_of):
    for task in (Tagging, SentenceClassification):
        bench = Bench.of(tiny_model, [data_of(task())], FineTuning(length=64, summary="mean"))
        module = bench.module()
        state = {key: tensor.clone() for key, tensor in module.saved_heads[head_key("toy")].state_dict().items()}
        if task is SentenceClassification:
            learned = replace(tiny_model, weights={**tiny_model.weights, head_key("toy"): state})
            bench = Bench.of(learned, [data_of(task())], FineTuning(length=64, summary="mean"))
            module = bench.module()
        start_from_probes(module, bench.asked, Noise(0))
        found = module.saved_heads[head_key("toy")].state_dict()
        assert all(torch.equal(found[key], tensor) for key, tensor in state.items())


def _loss(bench: Bench, module: nn.Module) -> float:
    module.eval()
    prepared = bench.asked.prepared["toy"]["train"]
    batch = prepared.batch(
        np.arange(len(prepared)), pad=0, has_segments=bench.asked.model.architecture.has_segments, name="toy"
    )
    arrays = {key: torch.as_tensor(value) for key, value in batch.arrays.items()}
    with torch.no_grad():
        return float(sum(module(arrays).values()))
