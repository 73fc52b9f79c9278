"""How tasks are mixed: the batches realise exactly what a law says."""

from collections import Counter
from dataclasses import replace

import numpy as np

from afterbert.base.budget import Budget
from afterbert.base.mixing.equal import Equal
from afterbert.base.mixing.proportional import Proportional
from afterbert.base.mixing.scheduled import Scheduled
from afterbert.base.noise import Noise
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.mix import TaskMix
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.tasks.sentence_classification import SentenceClassification
from afterbert.downstream.tasks.tagging import Tagging
from invented_examples import invented


def bench_of(tiny_model, data_of, mixing, batch_size=2):
    rows = invented(SentenceClassification())
    tasks = [data_of(SentenceClassification(), "large", rows * 5), data_of(Tagging(), "small")]
    return Bench.of(tiny_model, tasks, FineTuning(length=64, batch_size=batch_size, mixing=mixing))


def names_of(batches, epoch):
    plan = batches.plan(Noise(0).seen_as(epoch))
    return Counter(name for name, _ in plan.groups)


def test_an_epoch_by_size_reads_every_row_once(tiny_model, data_of):
    batches = bench_of(tiny_model, data_of, Proportional()).asked.batches
    plan = batches.plan(Noise(3).seen_as(0))
    assert names_of(batches, 0) == {"large": 20, "small": 4}
    units = np.concatenate([units for name, units in plan.groups if name == "large"])
    assert sorted(units.tolist()) == list(range(40))


def test_equal_shares_repeat_the_small_task_and_cut_the_large(tiny_model, data_of):
    batches = bench_of(tiny_model, data_of, Equal()).asked.batches
    assert names_of(batches, 0) == {"large": 12, "small": 12}
    plan = batches.plan(Noise(3).seen_as(0))
    seen = Counter(int(unit) for name, units in plan.groups if name == "small" for unit in units)
    assert set(seen.values()) == {3}


def test_a_schedule_moves_from_epoch_to_epoch(tiny_model, data_of):
    law = Scheduled({"large": 1.0, "small": 0.0}, {"large": 0.0, "small": 1.0})
    batches = bench_of(tiny_model, data_of, law).asked.batches
    batches = replace(batches, epochs=2)
    assert [names_of(batches, epoch)["small"] for epoch in (0, 1, 2)] == [0, 12, 24]


def test_a_schedule_moves_over_a_budget_of_steps_too(tiny_model, data_of):
    law = Scheduled({"large": 1.0, "small": 0.0}, {"large": 0.0, "small": 1.0})
    tasks = [data_of(SentenceClassification(), "large"), data_of(Tagging(), "small")]
    wish = FineTuning(length=64, batch_size=2, mixing=law, budget=Budget(32, "steps"))
    bench = Bench.of(tiny_model, tasks, wish)
    assert [names_of(bench.asked.batches, epoch)["small"] for epoch in range(5)] == [0, 2, 4, 6, 8]
    timed = Bench.of(tiny_model, tasks, replace(wish, budget=Budget(60, "seconds")))
    assert any("at its last weights after one epoch" in note for note in timed.notes)
    assert not bench.notes


def test_batches_hold_rows_of_like_length_and_change_from_epoch_to_epoch(tiny_model, data_of):
    rows = invented(SentenceClassification())
    long = [type(row)(row.key, (row.texts[0] * 4,), row.label) for row in rows]
    bench = Bench.of(
        tiny_model, [data_of(SentenceClassification(), rows=[*rows, *long] * 2)], FineTuning(length=64, batch_size=4)
    )
    batches, prepared = bench.asked.batches, bench.asked.prepared["toy"]["train"]
    plans = [batches.plan(Noise(0).seen_as(epoch)) for epoch in (0, 0, 1)]
    groups = [[tuple(units) for _, units in plan.groups] for plan in plans]
    assert groups[0] == groups[1]
    assert set(groups[0]) != set(groups[2])
    padding = sum((prepared.costs[list(g)].max() - prepared.costs[list(g)]).sum() for g in groups[0])
    by_chance = np.random.default_rng(0).permutation(len(prepared)).reshape(-1, 4)
    assert padding < 0.5 * sum((prepared.costs[g].max() - prepared.costs[g]).sum() for g in by_chance)


def test_what_a_run_draws_is_what_its_batches_hold(tiny_model, data_of):
    bench = bench_of(tiny_model, data_of, Equal(), batch_size=3)
    steps = bench.feed(5)
    for num_steps in (1, 7, 41):
        held: Counter = Counter()
        for step in range(num_steps):
            for batch in steps.step(step):
                (name,) = batch.counts
                held[name] += len(batch.row_keys)
        assert TaskMix.of(bench, seed=5, steps=num_steps).drawn == {"large": held["large"], "small": held["small"]}
