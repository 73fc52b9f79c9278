"""How tasks are mixed: what each law says, and that the batches realise it exactly."""

import json
from collections import Counter

import numpy as np
import pytest

from afterbert.base.config import build, to_plain
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import find, names
from afterbert.base.tree import parse
from afterbert.downstream.bench import Bench
from afterbert.downstream.feeding import allotted
from afterbert.downstream.mixing import Mixing
from afterbert.downstream.mixing.equal import Equal
from afterbert.downstream.mixing.exponent import Exponent
from afterbert.downstream.mixing.fixed import Fixed
from afterbert.downstream.mixing.proportional import Proportional
from afterbert.downstream.mixing.scheduled import Scheduled
from afterbert.downstream.mixing.temperature import Temperature
from afterbert.downstream.settings import FineTuning
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging

SIZES = {"en": 800, "is": 50, "zh": 150}
WEIGHTS = dict.fromkeys(SIZES, 1.0)


@pytest.mark.parametrize("name", names(Mixing))
def test_shares_add_up_and_a_law_survives_a_recipe(name):
    law = find(Mixing, name)()
    if name == "fixed":
        law = Fixed(WEIGHTS)
    if name == "scheduled":
        law = Scheduled(WEIGHTS, WEIGHTS)
    for progress in (0.0, 0.3, 1.0):
        shares = law.shares(SIZES, progress=progress)
        assert list(shares) == list(SIZES)
        assert sum(shares.values()) == pytest.approx(1.0)
    assert build(Mixing, parse(json.dumps(to_plain(law)), label="x")) == law


def test_the_laws_meet_where_they_should():
    proportional = Proportional().shares(SIZES)
    assert Temperature(temperature=1.0).shares(SIZES) == pytest.approx(proportional)
    assert Exponent(exponent=1.0).shares(SIZES) == pytest.approx(proportional)
    assert Temperature(temperature=1e9).shares(SIZES) == pytest.approx(Equal().shares(SIZES), abs=1e-6)
    assert Exponent(exponent=0.0).shares(SIZES) == pytest.approx(Equal().shares(SIZES))
    assert Proportional(limit=10).shares(SIZES) == pytest.approx(Equal().shares(SIZES))
    # S = 0.7 of the multilingual release is a temperature of 1 / 0.7.
    assert Temperature(temperature=1 / 0.7).shares(SIZES) == pytest.approx(
        Exponent(exponent=0.7).shares(SIZES)
    )


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"en": 1, "is": 1}, "gives no weight to 'zh'"),
        ({"en": 1, "is": 1, "zh": 1, "fr": 1}, "gives a weight to 'fr', which is no source"),
        ({"en": 1, "is": -1, "zh": 1}, "gives 'is' the weight -1; weights are at least 0"),
        ({"en": 0, "is": 0, "zh": 0}, "gives every source the weight 0"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(weights, said):
    with pytest.raises(UserError, match=said):
        Fixed(weights).shares(SIZES)
    with pytest.raises(UserError, match=said):
        Scheduled(weights, WEIGHTS).shares(SIZES)


def test_whole_numbers_come_as_near_as_can_be():
    assert sum(allotted(Exponent().shares(SIZES), 1234).values()) == 1234
    assert allotted({"a": 0.5, "b": 0.5, "c": 0.0}, 10) == {"a": 5, "b": 5, "c": 0}


def feed_of(tiny_model, data_of, mixing, batch_size=2):
    rows = SentenceClassification().invented()
    tasks = [data_of(SentenceClassification(), "large", rows * 5), data_of(Tagging(), "small")]
    return Bench.of(tiny_model, tasks, FineTuning(length=64, batch_size=batch_size, mixing=mixing)).feed()


def names_of(feed, epoch):
    plan = feed.plan(Noise(0).seen_as(epoch))
    return Counter(name for name, _ in plan.batches)


def test_an_epoch_by_size_reads_every_row_once(tiny_model, data_of):
    feed = feed_of(tiny_model, data_of, Proportional())
    plan = feed.plan(Noise(3).seen_as(0))
    assert names_of(feed, 0) == {"large": 20, "small": 4}
    units = np.concatenate([units for name, units in plan.batches if name == "large"])
    assert sorted(units.tolist()) == list(range(40))


def test_equal_shares_repeat_the_small_task_and_cut_the_large(tiny_model, data_of):
    feed = feed_of(tiny_model, data_of, Equal())
    assert names_of(feed, 0) == {"large": 12, "small": 12}
    plan = feed.plan(Noise(3).seen_as(0))
    seen = Counter(int(unit) for name, units in plan.batches if name == "small" for unit in units)
    assert set(seen.values()) == {3}


def test_a_schedule_moves_from_epoch_to_epoch(tiny_model, data_of):
    law = Scheduled({"large": 1.0, "small": 0.0}, {"large": 0.0, "small": 1.0})
    feed = feed_of(tiny_model, data_of, law)
    feed = type(feed)(**{**feed.__dict__, "epochs": 2})
    assert [names_of(feed, epoch)["small"] for epoch in (0, 1, 2)] == [0, 12, 24]


def test_batches_hold_rows_of_like_length_and_change_from_epoch_to_epoch(tiny_model, data_of):
    rows = SentenceClassification().invented()
    long = [type(row)(row.key, (row.texts[0] * 4,), row.label) for row in rows]
    bench = Bench.of(
        tiny_model,
        [data_of(SentenceClassification(), rows=[*rows, *long] * 2)],
        FineTuning(length=64, batch_size=4),
    )
    feed, prepared = bench.feed(), bench.prepared["toy"]["train"]
    plans = [feed.plan(Noise(0).seen_as(epoch)) for epoch in (0, 0, 1)]
    groups = [[tuple(units) for _, units in plan.batches] for plan in plans]
    assert groups[0] == groups[1]
    assert set(groups[0]) != set(groups[2])
    padding = sum((prepared.costs[list(g)].max() - prepared.costs[list(g)]).sum() for g in groups[0])
    by_chance = np.random.default_rng(0).permutation(len(prepared)).reshape(-1, 4)
    assert padding < 0.5 * sum((prepared.costs[g].max() - prepared.costs[g]).sum() for g in by_chance)
