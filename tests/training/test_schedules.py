"""Every schedule keeps the contract; the known curves agree with independent implementations."""

import inspect
from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import optimization

from afterbert.base import plugins
from afterbert.training.schedules import Schedule
from afterbert.training.schedules.cosine import Cosine
from afterbert.training.schedules.linear import Linear
from afterbert.training.schedules.one_cycle import OneCycle

NAMES = plugins.names(Schedule)


@pytest.mark.parametrize("name", NAMES)
@given(total=st.integers(1, 5000), share=st.floats(0, 1, exclude_max=True), data=st.data())
def test_contract(name, total, share, data):
    """Within [0, 1] at every step of runs of any length with any warm-up, even one longer than the run."""
    cls = plugins.find(Schedule, name)
    warmup = data.draw(st.sampled_from([0.0, 0.05, 0.5, 3.0, 10_000.0]))
    schedule = cls(warmup=warmup)
    step = int(share * total)
    factor = schedule(step, total)
    assert isinstance(factor, float)
    assert 0 <= factor <= 1
    assert factor == cls(warmup=warmup)(step, total)


@pytest.mark.parametrize("name", NAMES)
def test_reaches_the_peak_and_moves_at_the_first_update(name):
    schedule = plugins.find(Schedule, name)(warmup=0.1)
    curve = [schedule(step, 1000) for step in range(1000)]
    assert max(curve) == pytest.approx(1, abs=1e-3)
    assert curve[0] > 0
    assert all(field.name != "step" for field in fields(schedule))
    assert list(inspect.signature(schedule).parameters) == ["step", "total_steps"]


def theirs(build, steps):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = build(optimizer)
    curve = []
    for _ in range(steps):
        curve.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return curve


@pytest.mark.parametrize(
    ("ours", "build"),
    [
        (Linear(warmup=10), lambda o: optimization.get_linear_schedule_with_warmup(o, 10, 60)),
        (Cosine(warmup=10), lambda o: optimization.get_cosine_schedule_with_warmup(o, 10, 60)),
    ],
)
def test_same_as_transformers(ours, build):
    """From the peak on. Before it ours is one step ahead: theirs makes a first update of length zero."""
    found, expected = [ours(step, 60) for step in range(60)], theirs(build, 60)
    assert found[10:] == pytest.approx(expected[10:], abs=1e-12)
    assert found[:9] == pytest.approx(expected[1:10], abs=1e-12)


def test_one_cycle_same_as_torch():
    found = [OneCycle(warmup=15, start=0.04, final=0.04 / 1e4)(step, 51) for step in range(51)]
    build = lambda o: torch.optim.lr_scheduler.OneCycleLR(  # noqa: E731
        o, max_lr=1.0, total_steps=51, pct_start=16 / 51, div_factor=25, final_div_factor=1e4, cycle_momentum=False
    )
    assert found == pytest.approx(theirs(build, 51), abs=1e-12)
