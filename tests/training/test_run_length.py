"""Budgets in steps: every unit, the arithmetic of a time budget, what is refused."""

import pytest
from toy_run import toy_feed, toy_training

from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.training import run_length as courses
from afterbert.training.run_length import Rates, RunLength, Timing

RATES = Rates(tokens_per_step=50.0, steps_per_epoch=2.5, flops_per_step=1e6)


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("7steps", 7),
        ("500tokens", 10),
        ("549tokens", 10),
        ("3epochs", 8),
        ("2epochs", 5),
        ("1e8flops", 100),
        ("1tokens", 1),
    ],
)
def test_units(written, steps):
    assert courses.lay_out(toy_training(Budget.parse(written)), RATES).total_steps == steps


def test_epochs_end_no_sooner_than_asked():
    feed = toy_feed(toy_training(batch_size=5), size=27)
    rates = courses.rates_of(feed, flops_per_step=None, timing=None)
    assert rates.steps_per_epoch == 27 / 5
    assert courses.lay_out(toy_training(Budget(1, "epochs")), rates).total_steps == 6


def test_tokens_per_step_is_what_the_batches_hold():
    feed = toy_feed(toy_training(), size=400)
    rates = courses.rates_of(feed, flops_per_step=None, timing=None)
    true = sum(batch.num_tokens for n in range(50) for batch in feed.step(n)) / 50
    assert rates.tokens_per_step == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize(
    "training", [toy_training(Budget(1e9, "flops")), toy_training(evaluate_every=Budget(3, "seconds"))]
)
def test_a_unit_nobody_knows(training):
    with pytest.raises(UserError, match="cannot be turned into steps here"):
        courses.lay_out(training, Rates(50.0, 2.5))


def test_a_time_is_shared_with_evaluations_and_checkpoints():
    """100 s: 3 spent, 3 evaluations of 4 s, checkpoints of 1 s every 10 steps and at the end, steps of 0.5 s."""
    training = toy_training(
        Budget(100, "seconds"), evaluate_every=Budget(40, "seconds"), checkpoint_every=Budget(10, "steps")
    )
    timing = Timing(step=0.5, evaluation=4.0, checkpoint=1.0, spent=3.0)
    steps = courses.lay_out(training, Rates(50.0, 2.5, None, 0.5), timing).total_steps
    used = 3 + steps * 0.5 + 3 * 4 + (steps // 10 + 1) * 1
    assert 99 <= used <= 100


def test_a_time_too_short_for_a_step_still_makes_one():
    timing = Timing(step=5.0, evaluation=4.0, checkpoint=1.0, spent=3.0)
    assert courses.lay_out(toy_training(Budget(1, "seconds")), Rates(50.0, 2.5, None, 5.0), timing).total_steps == 1


def test_a_time_that_other_things_eat_is_told():
    training = toy_training(Budget(30, "seconds"), evaluate_every=Budget(10, "seconds"))
    rates = Rates(50.0, 2.5, None, 0.1)
    slow, quick = Timing(0.1, 8.0, 0.1, 9.0), Timing(0.1, 0.1, 0.1, 1.0)
    told = courses.said_of_short(courses.lay_out(training, rates, slow), slow)
    assert told is not None and "each evaluation takes 8.0 s" in told
    assert courses.said_of_short(courses.lay_out(training, rates, quick), quick) is None


def test_intervals():
    course = RunLength(Budget(100, "seconds"), 1000, Rates(50.0, 2.5, None, 0.09))
    assert course.every(None) is None
    assert course.every(Budget(10, "seconds")) == 100  # a share of the run, not 111
    assert course.every(Budget(7, "steps")) == 7
    assert course.every(Budget(2, "epochs")) == 5
    assert course.every(Budget(1, "tokens")) == 1


def test_course_survives(tmp_path):
    course = RunLength(Budget(100, "seconds"), 1000, Rates(50.1, 2.5, None, 0.09))
    course.save(tmp_path / "course.json")
    assert RunLength.load(tmp_path / "course.json") == course


def test_a_changed_length_is_refused(tmp_path):
    path = tmp_path / "course.json"
    RunLength(Budget(100, "seconds"), 400, Rates(50.1, 2.5, None, 0.09)).save(path)
    path.write_text(path.read_text().replace("400", "500"))
    with pytest.raises(UserError, match=r"course.json was changed after it was written"):
        RunLength.load(path)


@pytest.mark.parametrize("content", [None, "", "{", "{}", '{"budget": 3, "total_steps": 4, "rates": {}}'])
def test_a_lost_course_is_not_guessed(tmp_path, content):
    if content is not None:
        (tmp_path / "course.json").write_text(content)
    with pytest.raises(UserError, match="missing or damaged"):
        RunLength.load(tmp_path / "course.json")
