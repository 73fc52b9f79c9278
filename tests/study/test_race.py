"""A race: equal budgets, what each recipe came to, when a goal was reached, and what makes a record."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from invented import write_texts
from rich.console import Console

from afterbert.api.tables import drawn
from afterbert.base.budget import Budget
from afterbert.base.errors import UserError
from afterbert.cli.main import run
from afterbert.study import race
from afterbert.study.made import Measurement
from afterbert.study.race import Racer, RaceRequest, RaceResult, run_race
from afterbert.study.statistics import difference
from afterbert.training.guards import Diverged
from afterbert.workflows.observer import WorkObserver
from afterbert.workflows.step_time import StepTime

SMALL = (
    ("tokenizer.vocab_size", "300"),
    ("length", "32"),
    ("model.num_hidden_layers", "1"),
    ("model.hidden_size", "16"),
    ("model.intermediate_size", "16"),
    ("training.batch_size", "4"),
)
MUON = "extends: laptop\ntitle: Mine\ntraining: {optimizer: {type: muon}}\n"


@pytest.fixture
def request_(tmp_path, monkeypatch) -> RaceRequest:
    """Two recipes on a small text, whose steps take a tenth and two tenths of a second by the measured time."""
    (tmp_path / "mine.yaml").write_text(MUON)
    monkeypatch.setattr(
        race, "step_times", lambda arms, store, device: dict(zip(arms, (StepTime(0.1, 120.0), StepTime(0.2, 120.0))))
    )
    return RaceRequest(
        texts=(str(write_texts(tmp_path / "texts")),),
        recipes=("laptop", str(tmp_path / "mine.yaml")),
        budget=Budget(2, "seconds"),
        to=0.0,
        seeds=2,
        overrides=SMALL,
        out=tmp_path / "runs",
    )


def test_equal_time_is_as_many_steps_as_it_pays_for(request_, monkeypatch):
    result = run_race(request_)
    first, second = result.racers
    assert (first.steps, second.steps) == (20, 10)
    assert (first.tokens, second.tokens) == (2400.0, 1200.0)
    assert first.seconds == second.seconds == 2.0
    assert len(first.values) == len(second.values) == len(first.bits_per_byte) == 2
    assert first.against is None
    assert second.against.estimate == pytest.approx(second.mean - first.mean)
    assert first.share_to_goal[:2] == (0.0, 0.0), "any accuracy reaches 0, before the first step"
    told = json.loads((result.folder / "race.json").read_text())
    assert [one["values"] for one in told["racers"]] == [list(first.values), list(second.values)]
    monkeypatch.setattr(race, "step_times", None)
    monkeypatch.setattr(race, "pretrain", None)
    assert run_race(request_).racers == result.racers, "nothing runs twice, and nothing is measured twice"


def test_a_stopped_race_goes_on(request_, monkeypatch):
    honest, calls = race.pretrain, []

    def stops_at_the_second(*given, **more):
        done = honest(*given, **more)
        calls.append(done)
        if len(calls) == 2:
            return replace(done, outcome=replace(done.outcome, state="preempted", signal=15))
        return done

    monkeypatch.setattr(race, "pretrain", stops_at_the_second)
    request = replace(request_, budget=Budget(4, "steps"), seeds=1)
    stopped = run_race(request)
    assert (stopped.racers, stopped.exit_code) == (None, 143)
    assert run_race(request).racers is not None


def test_a_recipe_that_diverges_leaves_the_race_to_the_others(request_, monkeypatch):
    honest, calls, notes = race.pretrain, [], []

    def diverges_at_the_third(*given, **more):
        calls.append(given)
        if len(calls) == 3:
            raise Diverged("step 3: the gradient is not finite")
        return honest(*given, **more)

    monkeypatch.setattr(race, "pretrain", diverges_at_the_third)
    observer = WorkObserver()
    observer.on_note = notes.append
    result = run_race(replace(request_, budget=Budget(4, "steps")), observer=observer)
    (left,) = result.racers
    assert (result.diverged, left.name, left.against) == (("laptop",), request_.recipes[1], None)
    assert len(left.values) == 2 and len(calls) == 4
    assert ["laptop, seed 1, diverged" in note for note in notes].count(True) == 1
    made = Console(width=200, file=io.StringIO())
    made.print(drawn(result))
    assert "diverged, and left the race: laptop" in made.file.getvalue()

    def diverges(*given, **more):
        raise Diverged("step 1: the gradient is not finite")

    monkeypatch.setattr(race, "pretrain", diverges)
    with pytest.raises(UserError, match="all recipes diverged; lower their learning rate"):
        run_race(replace(request_, budget=Budget(5, "steps")))


def test_refused_in_the_first_second(request_):
    with pytest.raises(UserError, match="needs two recipes"):
        run_race(replace(request_, recipes=("laptop",)))
    with pytest.raises(UserError, match="laptop and bert-mlm cut text into other pieces"):
        run_race(replace(request_, recipes=("laptop", "bert-mlm"), overrides=()))
    with pytest.raises(UserError, match="for a time, tokens or steps, not for 3epochs"):
        run_race(replace(request_, budget=Budget.parse("3epochs")))


def test_what_a_recipe_is_not_asked_is_told_after_its_first_run(request_, tmp_path, monkeypatch):
    (tmp_path / "left to right.yaml").write_text("extends: laptop-gpt\ntokenizer: {type: bpe}\n")
    trained, honest = [], race.pretrain
    monkeypatch.setattr(race, "pretrain", lambda *given, **more: trained.append(1) or honest(*given, **more))
    recipes = (str(tmp_path / "left to right.yaml"), "laptop")
    with pytest.raises(UserError, match="left to right.yaml has no held-out masked accuracy; .* --by-loss"):
        run_race(replace(request_, recipes=recipes, budget=Budget(2, "steps")))
    assert len(trained) == 1


def racer(name, values, first=None, reached=()):
    against = None
    if first is not None:
        against = difference([Measurement(v) for v in values], [Measurement(v) for v in first], smallest=0.0)
    return Racer(name, 100, StepTime(0.5, 1000.0), tuple(values), (1.2,), tuple(reached), against)


def test_a_record_needs_seeds_and_a_small_chance():
    base = [0.30, 0.31, 0.32]
    assert racer("better", [0.35, 0.361, 0.37], base).is_record
    assert not racer("worse", [0.25, 0.261, 0.27], base).is_record
    assert not racer("unsure", [0.30, 0.34, 0.31], base).is_record
    assert not racer("two seeds", [0.35, 0.3600001], base[:2]).is_record
    assert not racer("first", base).is_record


def test_the_table_says_when_the_goal_was_reached():
    base = [0.30, 0.31, 0.32]
    racers = (
        racer("laptop", base, reached=(None, 0.9, 1.0)),
        racer("mine", [0.35, 0.361, 0.37], base, reached=(0.4, 0.5, 0.6)),
    )
    request = RaceRequest(("t",), ("laptop", "mine"), Budget(50, "seconds"), to=0.31)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(drawn(RaceResult(request, None, racers)))
    text = shown.get()
    assert "reached by 2 of 3" in text
    assert "25.0 s (12.6 s to 37.4 s), 50 k tokens" in text
    assert "to 31.0%" in text
    assert "a record, ahead of the first, with three seeds or more and p < 0.01: mine" in text


def test_a_goal_that_is_none(tmp_path, capsys):
    assert run(["race", str(tmp_path), "--recipes", "laptop,gpt2", "--to", "soon"]) == 2
    assert "--to is 'soon'; write a share such as 35%" in capsys.readouterr().err
