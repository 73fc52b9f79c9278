"""The loop as a whole, in one process: exactness, length, evaluation, what goes wrong. Kills are in test_faults.py."""

import json
import math
import shutil
import signal
import time
from collections import namedtuple
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toy_run import (
    ROUNDING,
    StopAt,
    Stopped,
    Ticks,
    ToyModule,
    assert_same_weights,
    losses,
    pose,
    run_toy,
    toy_evaluate,
    toy_feed,
    toy_identity,
    toy_module,
    toy_training,
    weights,
)

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.base.runs import RunFolder
from afterbert.training import clock
from afterbert.training.checkpoints import checkpointing, snapshot
from afterbert.training.checkpoints.generators import Generators
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.checkpoints.writing import SaveError
from afterbert.training.guards import Diverged
from afterbert.training.observers import Observer

usage = namedtuple("usage", "total used free")
EVERY_5 = {"checkpoint_every": Budget(5, "steps"), "evaluate_every": Budget(4, "steps")}


def carrying():
    return toy_module(carries=True)


def records(path, kind):
    return [record for record in RunFolder(path).metrics.read() if record["kind"] == kind]


def break_off(path, training, step, **options):
    with pytest.raises(Stopped):
        run_toy(path, training, observers=[StopAt(step)], **options)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """One run from start to end that others are compared with."""
    path = tmp_path_factory.mktemp("runs") / "unbroken"
    torch.set_num_threads(1)
    outcome = run_toy(path, toy_training(**EVERY_5), module=carrying(), evaluate=toy_evaluate)
    assert (outcome.state, outcome.step, outcome.exit_code) == ("finished", 12, 0)
    return path


# Exactness


@pytest.mark.parametrize("step", [1, 4, *range(7, 13)])
def test_resume_after_a_crash_at_any_step(unbroken, tmp_path, step):
    """Epochs of 27 and 28 rows in batches of 8: the steps hit the border and the step after it."""
    training = toy_training(**EVERY_5)
    break_off(tmp_path / "run", training, step, module=carrying(), evaluate=toy_evaluate)
    torch.rand(step)  # the new process has other generators
    outcome = run_toy(tmp_path / "run", training, module=carrying(), evaluate=toy_evaluate)
    assert outcome.state == "finished"
    assert losses(tmp_path / "run") == losses(unbroken)
    assert_same_weights(tmp_path / "run", unbroken)
    mine, theirs = records(tmp_path / "run", "evaluation"), records(unbroken, "evaluation")
    assert [(r["step"], r["figures"]) for r in mine] == [(r["step"], r["figures"]) for r in theirs]


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "bf16"},
        {"workers": 2, "micro_batch_size": 3},
        {"workers": 2},
        {"micro_batch_size": 3},
        {"order": "contiguous"},
        {"views": 2},
        {"max_grad_norm": None},
        {"log_every": 4},
        {"keep_checkpoints": 1},
    ],
    ids=str,
)
def test_resume_in_other_settings(tmp_path, changes):
    training = toy_training(**{**EVERY_5, **changes})
    for path, stops in (("whole", []), ("broken", [8, 8, 12])):
        for stop in stops:
            break_off(tmp_path / path, training, stop, module=carrying())
        run_toy(tmp_path / path, training, module=carrying())
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 12 // training.log_every
    assert_same_weights(tmp_path / "broken", tmp_path / "whole")


def test_resume_with_all_threads(tmp_path):
    torch.set_num_threads(2)
    for path, stops in (("whole", []), ("broken", [7])):
        for stop in stops:
            break_off(tmp_path / path, toy_training(**EVERY_5), stop)
        run_toy(tmp_path / path, toy_training(**EVERY_5))
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")


def test_what_may_change_the_last_bits_is_said(tmp_path, monkeypatch):
    break_off(tmp_path / "run", toy_training(**EVERY_5), 7)
    threads = torch.get_num_threads()
    monkeypatch.setattr(checkpointing, "name_of_device", lambda device: "another GPU")
    torch.set_num_threads(threads + 1)
    try:
        run_toy(tmp_path / "run", toy_training(**EVERY_5))
    finally:
        torch.set_num_threads(threads)
    notes = [record["text"] for record in records(tmp_path / "run", "note")]
    assert f"threads was {threads} and is {threads + 1} now: the last bits may differ" in notes
    assert "device was cpu and is another GPU now: the last bits may differ" in notes
    assert len([note for note in notes if "may differ" in note]) == 2


def test_the_comparison_would_notice(unbroken, tmp_path):
    """A resume that loses one thing (generators, optimizer, memory) gives other losses."""

    def nothing(*_):
        pass

    lost = [(Generators, "put_back"), (snapshot, "restore_optimizer"), (ToyModule, "load_carried_state")]
    training = toy_training(**EVERY_5)
    for owner, name in lost:
        path = tmp_path / name
        break_off(path, training, 6, module=carrying(), evaluate=toy_evaluate)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, nothing)
            run_toy(path, training, module=carrying(), evaluate=toy_evaluate)
        assert losses(path) != losses(unbroken), name
        assert {n: v for n, v in losses(path).items() if n <= 5} == {
            n: v for n, v in losses(unbroken).items() if n <= 5
        }


def test_workers_evaluation_and_logging_change_nothing(unbroken, tmp_path):
    run_toy(tmp_path / "run", toy_training(workers=1), module=carrying())
    assert losses(tmp_path / "run") == losses(unbroken)


def test_resume_with_other_workers(unbroken, tmp_path):
    for workers, stop in ((0, 4), (2, 8), (1, 11)):
        break_off(tmp_path / "run", toy_training(**EVERY_5, workers=workers), stop, module=carrying())
    run_toy(tmp_path / "run", toy_training(**EVERY_5, workers=3), module=carrying())
    assert losses(tmp_path / "run") == losses(unbroken)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_micro_batches_change_only_the_last_bits(tmp_path, precision):
    """Without dropout, whose draws depend on the cut."""
    for name, size in (("whole", None), ("pieces", 3)):
        training = toy_training(micro_batch_size=size, precision=precision)
        run_toy(tmp_path / name, training, module=toy_module(dropout=0.0))
    pairs = list(zip(losses(tmp_path / "pieces").values(), losses(tmp_path / "whole").values()))
    assert len(pairs) == 12
    for mine, theirs in pairs:
        assert float.fromhex(mine[0]) == pytest.approx(float.fromhex(theirs[0]), rel=ROUNDING[precision])


def test_it_learns(tmp_path):
    run_toy(tmp_path / "run", toy_training(Budget(90, "steps"), log_every=30), module=toy_module(dropout=0.0))
    first, *_, last = records(tmp_path / "run", "step")
    assert last["parts"]["masked"] < 0.6 * first["parts"]["masked"]


def test_means_since_the_last_logged_step(unbroken, tmp_path):
    run_toy(tmp_path / "run", toy_training(log_every=5), module=carrying())
    each = [record["loss"] for record in records(unbroken, "step")]
    found = {record["step"]: record["loss"] for record in records(tmp_path / "run", "step")}
    expected = {5: np.mean(each[:5]), 10: np.mean(each[5:10]), 12: np.mean(each[10:])}
    assert found == pytest.approx(expected, rel=1e-12)


def test_learning_rate_follows_the_schedule(unbroken):
    schedule = toy_training().schedule
    found = [record["learning_rate"] for record in records(unbroken, "step")]
    assert found == pytest.approx([0.01 * schedule(step, 12) for step in range(12)])


# Length


def test_a_time_is_measured_once_and_leaves_no_trace(tmp_path, monkeypatch):
    """The run in time is to the bit the run of as many steps; a resume does not ask the clock again."""
    monkeypatch.setattr(clock, "time", Ticks())
    training = toy_training(Budget(0.5, "seconds"))
    outcome = run_toy(tmp_path / "timed", training, module=carrying(), evaluate=toy_evaluate)
    steps = outcome.total_steps
    assert steps is not None
    assert steps > 2
    counted = toy_training(Budget(steps, "steps"))
    run_toy(tmp_path / "counted", counted, module=carrying())
    assert losses(tmp_path / "timed") == losses(tmp_path / "counted")
    assert_same_weights(tmp_path / "timed", tmp_path / "counted")

    break_off(tmp_path / "broken", training, 2, module=carrying())
    course = (tmp_path / "broken" / "course.json").read_text()
    outcome = run_toy(tmp_path / "broken", training, module=carrying())
    assert (tmp_path / "broken" / "course.json").read_text() == course
    assert outcome.total_steps == json.loads(course)["total_steps"]


def test_a_time_is_met_within_a_tenth(tmp_path, monkeypatch):
    """By a clock that only moves with the work: steps of 30 ms, evaluations of 200 ms."""
    spent = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: spent[0])

    class Slow(ToyModule):
        def forward(self, arrays):
            spent[0] += 0.03
            return super().forward(arrays)

    def evaluate(module, step):
        spent[0] += 0.2
        return {}

    training = toy_training(Budget(6, "seconds"), evaluate_every=Budget(2, "seconds"), workers=0)
    outcome = run_toy(tmp_path / "run", training, module=Slow(), evaluate=evaluate)
    assert outcome.state == "finished"
    assert spent[0] == pytest.approx(6, rel=0.1)


def test_flops_and_unknown_units(tmp_path):
    training = toy_training(Budget(1e7, "flops"))
    assert run_toy(tmp_path / "run", training, flops_per_step=2e6).total_steps == 5
    with pytest.raises(UserError, match="cannot be turned into steps"):
        run_toy(tmp_path / "other", training)


def test_a_lost_course_stops_the_resume(tmp_path):
    break_off(tmp_path / "run", toy_training(**EVERY_5), 7)
    (tmp_path / "run" / "course.json").unlink()
    with pytest.raises(UserError, match=r"course.json is missing or damaged"):
        run_toy(tmp_path / "run", toy_training(**EVERY_5))


def test_a_longer_budget_where_changes_are_allowed(tmp_path):
    run_toy(tmp_path / "run")
    longer = toy_training(Budget(15, "steps"))
    with pytest.raises(UserError, match="12steps' became '15steps'"):
        run_toy(tmp_path / "run", longer)
    outcome = run_toy(tmp_path / "run", longer, allow_changes=True)
    assert (outcome.step, outcome.total_steps) == (15, 15)
    assert list(losses(tmp_path / "run")) == list(range(1, 16))


def test_a_finished_run_is_finished(unbroken, tmp_path):
    path = shutil.copytree(unbroken, tmp_path / "run")
    module = carrying()
    outcome = run_toy(path, toy_training(**EVERY_5), module=module, evaluate=lambda *_: pytest.fail("evaluated"))
    assert (outcome.state, outcome.step) == ("finished", 12)
    assert outcome.evaluation == records(unbroken, "evaluation")[-1]["figures"]
    assert torch.equal(module.pair.weight, weights(unbroken)["model.pair.weight"])


# Evaluation and observers


def test_evaluations_come_at_the_start_in_step_and_at_the_end(unbroken):
    assert [record["step"] for record in records(unbroken, "evaluation")] == [0, 4, 8, 12]
    assert records(unbroken, "evaluation")[1]["figures"]["step"] == 4.0


def test_without_an_interval_only_at_the_end(tmp_path):
    outcome = run_toy(tmp_path / "run", evaluate=toy_evaluate)
    assert [record["step"] for record in records(tmp_path / "run", "evaluation")] == [12]
    assert outcome.evaluation is not None
    assert outcome.evaluation["step"] == 12


def test_observers_see_what_is_written(tmp_path):
    @dataclass
    class All(Observer):
        seen: list = field(default_factory=list)

        def on_start(self, *, step, total_steps):
            self.seen.append(("start", step, total_steps))

        def on_step(self, record):
            self.seen.append(record)

        def on_evaluation(self, record):
            self.seen.append(record)

        def on_checkpoint(self, *, step, path):
            assert (path / "MANIFEST.json").exists()
            self.seen.append(("checkpoint", step))

        def on_note(self, text):
            self.seen.append(text)

    one = All()
    run_toy(tmp_path / "run", toy_training(**EVERY_5), evaluate=toy_evaluate, observers=[one])
    written = RunFolder(tmp_path / "run").metrics.read()
    said = [record.get("text", record) for record in written]
    assert [seen for seen in one.seen if not isinstance(seen, tuple)] == said
    told = [seen for seen in one.seen if isinstance(seen, tuple)]
    assert told == [("checkpoint", 0), ("start", 0, 12), *(("checkpoint", step) for step in (5, 10, 12))]


def test_status_at_the_end(unbroken):
    status = RunFolder(unbroken).status()
    assert status is not None
    assert (status.state, status.step, status.total_steps) == ("finished", 12, 12)


# Signals, in this process


@dataclass
class SignalAt(Observer):
    step: int

    def on_step(self, record):
        if record["step"] == self.step:
            signal.raise_signal(signal.SIGTERM)


def test_a_signal_ends_after_the_step_with_a_checkpoint(unbroken, tmp_path):
    options = {"module": carrying(), "evaluate": toy_evaluate}
    outcome = run_toy(tmp_path / "run", toy_training(**EVERY_5), observers=[SignalAt(7)], **options)
    assert (outcome.state, outcome.step, outcome.exit_code) == ("preempted", 7, 143)
    assert (tmp_path / "run" / "checkpoints" / "step-000007").is_dir()
    status = RunFolder(tmp_path / "run").status()
    assert status is not None
    assert (status.state, status.step) == ("preempted", 7)
    assert any("SIGTERM: saving step 7" in record["text"] for record in records(tmp_path / "run", "note"))
    run_toy(tmp_path / "run", toy_training(**EVERY_5), **options)
    assert losses(tmp_path / "run") == losses(unbroken)
    assert_same_weights(tmp_path / "run", unbroken)


@pytest.mark.parametrize("at", [0, 4, 12])
def test_a_signal_breaks_off_an_evaluation_that_is_made_later(unbroken, tmp_path, at):
    def interrupted(module, step):
        if step == at:
            signal.raise_signal(signal.SIGINT)
            pytest.fail("went on evaluating")
        return toy_evaluate(module, step)

    outcome = run_toy(tmp_path / "run", toy_training(**EVERY_5), module=carrying(), evaluate=interrupted)
    assert (outcome.state, outcome.step, outcome.exit_code) == ("preempted", at, 130)
    assert at not in [record["step"] for record in records(tmp_path / "run", "evaluation")]
    run_toy(tmp_path / "run", toy_training(**EVERY_5), module=carrying(), evaluate=toy_evaluate)
    assert losses(tmp_path / "run") == losses(unbroken)
    assert_same_weights(tmp_path / "run", unbroken)
    mine, theirs = records(tmp_path / "run", "evaluation"), records(unbroken, "evaluation")
    assert [(r["step"], r["figures"]) for r in mine] == [(r["step"], r["figures"]) for r in theirs]


def test_a_signal_at_the_last_step_finishes(tmp_path):
    assert run_toy(tmp_path / "run", observers=[SignalAt(12)]).state == "finished"


# Resuming what does not fit


def test_changed_recipe_data_tokenizer(tmp_path):
    training = toy_training(**EVERY_5)
    break_off(tmp_path / "run", training, 7)
    other = toy_training(**{**EVERY_5, "max_grad_norm": 2.0, "log_every": 2})
    with pytest.raises(UserError, match=r"training.max_grad_norm: 1.0 became 2.0"):
        run_toy(tmp_path / "run", other)
    for changes in ({"store": "store-b"}, {"tokenizer": "tokenizer-b"}):
        identity = RunIdentity(**{**vars(toy_identity(training)), **changes})
        with pytest.raises(UserError, match="was begun with"):
            run_toy(tmp_path / "run", training, identity=identity)
    watch = StopAt(-1)
    assert run_toy(tmp_path / "run", other, allow_changes=True, observers=[watch]).state == "finished"
    assert "changed since the run began: training.log_every: 1 became 2" in watch.seen


def test_a_run_that_has_learned_something_may_not_be_begun_otherwise(tmp_path):
    break_off(tmp_path / "run", toy_training(), 3)  # step 0 is the only checkpoint
    with pytest.raises(UserError, match=r"training.seed: 0 became 9"):
        run_toy(tmp_path / "run", toy_training(seed=9))


def test_a_run_that_has_learned_nothing_may_be_begun_otherwise(tmp_path):
    """Say the first try ran out of memory: the mended recipe needs no new folder."""

    class Fails(ToyModule):
        def forward(self, arrays):
            raise KeyError("a bug in the first pass")

    with pytest.raises(KeyError):
        run_toy(tmp_path / "run", module=Fails())
    status = RunFolder(tmp_path / "run").status()
    assert status is not None
    assert (status.state, status.message) == ("failed", "'a bug in the first pass'")
    outcome = run_toy(tmp_path / "run", toy_training(Budget(5, "steps"), seed=9))
    assert outcome.total_steps == 5
    run_toy(tmp_path / "new", toy_training(Budget(5, "steps"), seed=9))
    assert losses(tmp_path / "run") == losses(tmp_path / "new")


def test_damaged_checkpoints(unbroken, tmp_path):
    training = toy_training(**EVERY_5)
    break_off(tmp_path / "run", training, 11, module=carrying(), evaluate=toy_evaluate)
    newest = tmp_path / "run" / "checkpoints" / "step-000010"
    (newest / "optim.safetensors").write_bytes(b"")
    watch = StopAt(-1)
    run_toy(tmp_path / "run", training, module=carrying(), evaluate=toy_evaluate, observers=[watch])
    assert any("step-000010 is damaged (optim.safetensors has 0 bytes" in note for note in watch.seen)
    assert losses(tmp_path / "run") == losses(unbroken)
    assert_same_weights(tmp_path / "run", unbroken)


def test_never_from_scratch_in_silence(tmp_path):
    training = toy_training(**EVERY_5)
    break_off(tmp_path / "run", training, 11)
    for state in (tmp_path / "run" / "checkpoints").glob("*/state.json"):
        state.unlink()
    with pytest.raises(UserError, match="no whole checkpoint is left"):
        run_toy(tmp_path / "run", training)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(UserError, match="has metrics but no checkpoint"):
        run_toy(tmp_path / "run", training)


def test_weights_of_another_model(tmp_path):
    break_off(tmp_path / "run", toy_training(**EVERY_5), 7)

    class Wider(ToyModule):
        def __init__(self):
            super().__init__()
            self.pair = torch.nn.Linear(16, 3)

    with pytest.raises(UserError, match=r"weight 'pair.weight' is \(2, 16\) there, \(3, 16\) here"):
        run_toy(tmp_path / "run", toy_training(**EVERY_5), module=Wider())


# NaN, spikes, nothing asked


class Bad(ToyModule):
    """Turns the loss or gradient of the rows with key 20 into something that is not finite."""

    def __init__(self, how):
        torch.manual_seed(5)
        super().__init__(dropout=0.0, carries=True)
        self.how = how

    def forward(self, arrays):
        scores = super().forward(arrays)
        if not bool(arrays["is_bad"]):
            return scores
        if self.how == "nan gradient":  # infinite slope where the value is 0
            return {**scores, "long": scores["long"] + (self.pair.bias * 0).abs().sqrt().sum()}
        self.memory = self.memory * float("nan")
        return {**scores, "masked": scores["masked"] * float(self.how)}


@cache
def bad_keys():
    """A row of step 3 and one of step 4, whatever the order of rows is: two bad steps in a row, and not the first."""
    feed = toy_feed(toy_training())
    return frozenset(int(feed.step(number)[0].row_keys[0]) for number in (2, 3))


def is_bad(row_keys):
    return not bad_keys().isdisjoint(int(key) for key in row_keys)


def marked(plan, numbers, noise):
    batch = pose(plan, numbers, noise)
    arrays = {**batch.arrays, "is_bad": np.array(is_bad(batch.row_keys))}
    return type(batch)(arrays, batch.counts, batch.num_tokens, batch.row_keys)


def bad_run(path, how, **changes):
    training = toy_training(**{"checkpoint_every": Budget(1, "steps"), **changes})
    return run_toy(path, training, module=Bad(how), feed=toy_feed(training, pose=marked))


def bad_steps(count):
    feed = toy_feed(toy_training())
    return [n + 1 for n in range(count) if any(is_bad(batch.row_keys) for batch in feed.step(n))]


@pytest.mark.parametrize("how", ["nan", "inf", "-inf", "nan gradient"])
def test_not_finite_stops_with_a_diagnosis(tmp_path, how):
    bad = bad_steps(12)[0]
    with pytest.raises(Diverged, match=f"step {bad}: .*nothing was learned") as raised:
        bad_run(tmp_path / "run", how)
    assert list(losses(tmp_path / "run")) == list(range(1, bad))
    folder = tmp_path / "run" / "diagnosis" / f"step-{bad:06d}"
    assert str(folder) in str(raised.value)
    diagnosis = json.loads((folder / "diagnosis.json").read_text())
    batch = next(b for b in toy_feed(toy_training(), pose=marked).step(bad - 1) if is_bad(b.row_keys))
    number = next(i for i, b in enumerate(diagnosis["batches"]) if is_bad(b["row_keys"]))
    assert diagnosis["batches"][number]["row_keys"] == batch.row_keys.tolist()
    dumped = load_file(folder / f"batch-{number}.safetensors")
    np.testing.assert_array_equal(dumped["piece_ids"].numpy(), batch.arrays["piece_ids"])
    if how == "nan gradient":
        assert diagnosis["parameters_with_bad_gradient"] == ["pair.bias"]
        assert "the gradient is not finite" in str(raised.value)
    else:
        assert f"part 'masked' of the loss is {float(how)}" in str(raised.value)
        assert diagnosis["losses"]["masked"] == repr(float(how))
    assert diagnosis["parameters_bad_themselves"] == []
    status = RunFolder(tmp_path / "run").status()
    assert status is not None
    assert status.state == "failed"


@pytest.mark.parametrize("how", ["nan", "nan gradient"])
def test_not_finite_steps_are_left_out(tmp_path, how):
    """No update: weights, optimizer and memory after a bad step are those before it."""
    bad = bad_steps(12)
    assert len(bad) >= 2
    states = {}

    class Watch(Observer):
        def on_checkpoint(self, *, step, path):
            states[step] = weights(tmp_path / "run")

    training = toy_training(checkpoint_every=Budget(1, "steps"), non_finite="skip")
    run_toy(tmp_path / "run", training, module=Bad(how), feed=toy_feed(training, pose=marked), observers=[Watch()])
    for step in range(1, 13):
        same = (
            all(torch.equal(tensor, states[step - 1][name]) for name, tensor in states[step].items()) if step > 1 else 0
        )
        assert bool(same) == (step in bad), step
    assert [record["step"] for record in records(tmp_path / "run", "non_finite")] == bad
    assert set(losses(tmp_path / "run")) == set(range(1, 13)) - set(bad)
    assert all(math.isfinite(float(record["loss"])) for record in records(tmp_path / "run", "step"))


def test_too_many_are_not_left_out(tmp_path):
    with pytest.raises(Diverged, match=r"time 2, 1 are allowed"):
        bad_run(tmp_path / "run", "nan", non_finite="skip", non_finite_limit=1)


def test_after_a_stop_the_policy_may_be_changed(tmp_path):
    with pytest.raises(Diverged):
        bad_run(tmp_path / "run", "nan")
    bad_run(tmp_path / "run", "nan", non_finite="skip")
    bad_run(tmp_path / "other", "nan", non_finite="skip")
    assert losses(tmp_path / "run") == losses(tmp_path / "other")


def test_rewind_passes_over_the_data(tmp_path):
    """From the checkpoint before the bad step, with the data after it; and exactly so again after a crash."""
    bad = bad_steps(12)[0]
    good = next(step for step in range(bad, 12) if step not in bad_steps(12))
    changes = {"non_finite": "rewind", "non_finite_limit": 100, "checkpoint_every": Budget(1, "steps")}
    outcome = bad_run(tmp_path / "run", "nan", **changes)
    assert (outcome.state, outcome.step) == ("finished", 12)
    back = bad - 1
    rewinds = [record for record in records(tmp_path / "run", "rewind") if record["step"] == back]
    assert len(rewinds) == good - bad >= 2  # also when the data after it is bad
    assert f"back to step {back}, skipping its data" in rewinds[0]["text"]
    feed = toy_feed(toy_training())
    tokens = [sum(batch.num_tokens for batch in feed.step(n)) for n in range(good)]
    after = next(record for record in records(tmp_path / "run", "step") if record["step"] == back + 1)
    assert after["tokens"] == sum(tokens[:back]) + tokens[good - 1]

    training = toy_training(**changes)
    for stop in (back + 1, 9):
        break_off(tmp_path / "broken", training, stop, module=Bad("nan"), feed=toy_feed(training, pose=marked))
    bad_run(tmp_path / "broken", "nan", **changes)
    assert losses(tmp_path / "broken") == losses(tmp_path / "run")
    assert_same_weights(tmp_path / "broken", tmp_path / "run")


def test_rewinds_have_a_limit(tmp_path):
    def always(plan, numbers, noise):
        batch = pose(plan, numbers, noise)
        return type(batch)({**batch.arrays, "is_bad": np.array(True)}, batch.counts, batch.num_tokens, batch.row_keys)

    training = toy_training(non_finite="rewind", non_finite_limit=3)
    with pytest.raises(Diverged, match=r"time 4, 3 are allowed"):
        run_toy(tmp_path / "run", training, module=Bad("nan"), feed=toy_feed(training, pose=always))


def test_a_rewind_evaluates_no_step_twice(tmp_path):
    every = Budget(1, "steps")
    training = toy_training(non_finite="rewind", non_finite_limit=100, checkpoint_every=every, evaluate_every=every)
    feed = toy_feed(training, pose=marked)
    outcome = run_toy(tmp_path / "run", training, module=Bad("nan"), feed=feed, evaluate=toy_evaluate)
    assert len(records(tmp_path / "run", "rewind")) >= 2
    assert [record["step"] for record in records(tmp_path / "run", "evaluation")] == list(range(13))
    assert outcome.evaluation["step"] == 12


def test_a_rewind_names_a_damaged_checkpoint_and_replaces_it(tmp_path):
    last = bad_steps(12)[0] - 1
    saved = []

    class Damages(Observer):
        def on_checkpoint(self, *, step, path):
            saved.append(step)
            if step == last and saved.count(last) == 1:
                (path / "model.safetensors").write_bytes(b"")

    training = toy_training(
        non_finite="rewind", non_finite_limit=100, checkpoint_every=Budget(1, "steps"), keep_checkpoints=3
    )
    feed = toy_feed(training, pose=marked)
    run_toy(tmp_path / "run", training, module=Bad("nan"), feed=feed, observers=[Damages()])
    (note,) = [record for record in records(tmp_path / "run", "note") if "damaged" in record["text"]]
    assert f"checkpoint step-{last:06d} is damaged (model.safetensors has 0 bytes" in note["text"]
    assert f"back to step {last - 1}" in records(tmp_path / "run", "rewind")[0]["text"]
    assert saved.count(last) == 2


class Jumps(ToyModule):
    """A loss that stands out at one step; `calls` counts the passes of training, the rehearsal is the first."""

    calls = 0

    def forward(self, arrays):
        scores = super().forward(arrays)
        self.calls += 1
        return {**scores, "masked": scores["masked"] * (1e4 if self.calls == 141 + 1 else 1)}


@pytest.mark.parametrize(("policy", "moves"), [("warn", True), ("skip", False)])
def test_a_spike(tmp_path, policy, moves):
    # Whole epochs of one batch, so that a step is one pass.
    training = toy_training(Budget(141, "steps"), batch_size=4, spikes=policy, views=1)
    module, states = Jumps(dropout=0.0), {}

    class Watch(Observer):
        def on_step(self, record):
            states[record["step"]] = module.pair.weight.detach().clone()

    run_toy(tmp_path / "run", training, module=module, feed=toy_feed(training, size=4), observers=[Watch()])
    (record,) = records(tmp_path / "run", "spike")
    assert record["step"] == 141
    assert torch.equal(module.pair.weight, states[140]) != moves


def test_a_resume_knows_what_a_spike_is(tmp_path):
    """The losses it is compared with come back; a run that has seen few never takes one for a spike."""
    changes = {"batch_size": 4, "views": 1, "checkpoint_every": Budget(135, "steps")}
    training = toy_training(Budget(141, "steps"), **changes)
    feed = toy_feed(training, size=4)
    break_off(tmp_path / "run", training, 138, module=Jumps(dropout=0.0), feed=feed)
    resumed = Jumps(dropout=0.0)
    resumed.calls = 135 + 1
    run_toy(tmp_path / "run", training, module=resumed, feed=feed)
    assert [record["step"] for record in records(tmp_path / "run", "spike")] == [141]


def test_steps_that_ask_nothing_are_counted(tmp_path):
    def sometimes(plan, numbers, noise):
        batch = pose(plan, numbers, noise)
        if 20 not in batch.row_keys:
            return batch
        arrays = {name: array if name == "piece_ids" else array[:0] for name, array in batch.arrays.items()}
        return type(batch)(arrays, {"masked": 0, "long": 0}, batch.num_tokens, batch.row_keys)

    training = toy_training(batch_size=1)
    run_toy(tmp_path / "run", training, feed=toy_feed(training, size=21, pose=sometimes))
    feed = toy_feed(training, size=21)
    empty = [n + 1 for n in range(12) if 20 in feed.step(n)[0].row_keys]
    state = json.loads((tmp_path / "run" / "checkpoints" / "step-000012" / "state.json").read_text())
    assert state["progress"]["empty"] == len(empty)
    for record in records(tmp_path / "run", "step"):
        assert (record["loss"] == 0) == (record["step"] in empty)


# Memory and disk


class Greedy(ToyModule):
    """Runs out of memory with more than `fits` rows, after it has drawn random numbers and left gradients behind."""

    def __init__(self, fits, error):
        torch.manual_seed(5)
        super().__init__(dropout=0.1, carries=True)
        self.fits, self.error = fits, error

    def forward(self, arrays):
        scores = super().forward(arrays)
        if len(arrays["piece_ids"]) > self.fits:
            scores["masked"].backward()
            raise self.error
        return scores


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
    ),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_out_of_memory_halves_the_micro_batch(tmp_path, error):
    """8, 4, 2 rows: then exactly the run that had 2 from the start."""
    outcome = run_toy(tmp_path / "run", module=Greedy(3, error))
    assert outcome.state == "finished"
    run_toy(tmp_path / "two", toy_training(micro_batch_size=2), module=Greedy(3, error))
    assert losses(tmp_path / "run") == losses(tmp_path / "two")
    (note,) = [record for record in records(tmp_path / "run", "note") if "memory" in record["text"]]
    assert note["text"] == "memory ran out with micro-batches of 8 rows; going on with 2"


def test_out_of_memory_while_time_is_measured(tmp_path, monkeypatch):
    """The steps that the clock is asked for are cut smaller too, once; and each tries its own rows again."""
    seen, spent = [], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: spent[0])

    class Counts(Greedy):
        def forward(self, arrays):
            seen.append(arrays["piece_ids"].tolist())
            spent[0] += 0.003
            return super().forward(arrays)

    module = Counts(4, MemoryError())
    outcome = run_toy(tmp_path / "run", toy_training(Budget(0.3, "seconds")), module=module)
    assert outcome.state == "finished"
    (note,) = [record for record in records(tmp_path / "run", "note") if "memory" in record["text"]]
    assert note["text"] == "memory ran out with micro-batches of 8 rows; going on with 4"
    feed = toy_feed(toy_training())
    whole = [batch.arrays["piece_ids"].tolist() for batch in feed.step(0)]
    halves = [batch.arrays["piece_ids"].tolist() for step in range(3) for batch in feed.step(step, micro_batch_size=4)]
    assert seen[: 1 + len(halves)] == whole + halves


def test_out_of_memory_in_the_middle(tmp_path):
    """The rehearsal fits, step 6 does not: the step is made again, later ones are cut smaller, a resume knows."""

    class Later(Greedy):
        calls = 0

        def forward(self, arrays):
            self.calls += 1
            self.fits = 4 if self.calls > 8 else 99
            return super().forward(arrays)

    def micro_batch_size():
        state = json.loads((tmp_path / "run" / "checkpoints" / "step-000012" / "state.json").read_text())
        return state["progress"]["micro_batch_size"]

    training = toy_training(checkpoint_every=Budget(10, "steps"))
    run_toy(tmp_path / "whole", training, module=Later(0, MemoryError()))
    break_off(tmp_path / "run", training, 11, module=Later(0, MemoryError()))
    run_toy(tmp_path / "run", training, module=Later(0, MemoryError()))  # here the whole batch would fit at first
    assert list(losses(tmp_path / "run")) == list(range(1, 13))
    assert micro_batch_size() == 4
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_out_of_memory_may_stop_with_a_size_that_fits(tmp_path):
    with pytest.raises(UserError, match="micro_batch_size 2 fits and gives the same gradients"):
        run_toy(tmp_path / "run", toy_training(on_out_of_memory="stop"), module=Greedy(3, MemoryError()))
    assert losses(tmp_path / "run") == {}
    with pytest.raises(UserError, match="a single row"):
        run_toy(tmp_path / "other", module=Greedy(0, MemoryError()))


def test_other_errors_are_not_taken_for_want_of_memory(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"):
        run_toy(tmp_path / "run", module=Greedy(3, RuntimeError("mat1 and mat2 shapes cannot be multiplied")))


@pytest.mark.parametrize("policy", ["stop", "continue"])
def test_full_disk_in_the_middle(unbroken, tmp_path, monkeypatch, policy):

    class Fills(Observer):
        def on_step(self, record):
            free = 10 if 4 <= record["step"] <= 6 else 10**9
            monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, free))

    training = toy_training(**EVERY_5, on_disk_full=policy)
    options = {"module": carrying(), "evaluate": toy_evaluate}
    if policy == "stop":
        with pytest.raises(SaveError, match=r"10 are free"):
            run_toy(tmp_path / "run", training, observers=[Fills()], **options)
        monkeypatch.undo()
    else:
        assert run_toy(tmp_path / "run", training, observers=[Fills()], **options).state == "finished"
        (record,) = records(tmp_path / "run", "save_failed")
        assert record["step"] == 5
    assert (tmp_path / "run" / "checkpoints" / "step-000000").exists() == (policy == "stop")
    run_toy(tmp_path / "run", training, **{**options, "module": carrying()})
    assert losses(tmp_path / "run") == losses(unbroken)


def test_too_small_a_disk_is_refused_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage(10**9, 0, 30_000)
    )  # weights fit, the optimizer does not
    with pytest.raises(SaveError, match=r"needs [\d,]+ bytes, 30,000 are free"):
        run_toy(tmp_path / "run")
    assert losses(tmp_path / "run") == {}


def test_a_folder_that_vanishes_ends_the_run(tmp_path):
    class Vanish(Observer):
        def on_step(self, record):
            if record["step"] == 3:
                shutil.rmtree(tmp_path / "run")

    with pytest.raises(OSError, match="is gone or can no longer be written"):
        run_toy(tmp_path / "run", observers=[Vanish()])
    assert not (tmp_path / "run").exists()


def test_a_second_run_in_one_folder_is_refused(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    with run.locked(), pytest.raises(UserError, match="is being written by process"):
        run_toy(tmp_path / "run")


def test_kernels_are_as_before_afterwards(unbroken):
    assert not torch.are_deterministic_algorithms_enabled()


def test_rows_that_are_compared_with_each_other_are_not_divided(tmp_path):
    module = toy_module()
    module.compares_rows = True
    with pytest.raises(UserError, match="compares the rows of a batch"):
        run_toy(tmp_path / "run", toy_training(batch_size=8, micro_batch_size=4), module=module)
