"""Averages of the weights: what they are, that training does not feel them, that a resume keeps them."""

import pytest
import torch
from toy_run import StopAt, Stopped, losses, run_toy, toy_evaluate, toy_module, toy_training, weights

from afterbert.base import plugins
from afterbert.base.budget import Budget
from afterbert.base.runs import RunFolder
from afterbert.training.averages import Average
from afterbert.training.averages.ema import Ema
from afterbert.training.averages.tail import Tail
from afterbert.training.averaging import RunningAverage
from afterbert.training.observers import Observer

NAMES = plugins.names(Average)
EVERY_FEW = {"checkpoint_every": Budget(5, "steps"), "evaluate_every": Budget(4, "steps")}


class Watch(Observer):
    """Keeps the weights after each step."""

    def __init__(self, module):
        self.module, self.seen = module, []

    def on_step(self, record):
        self.seen.append({name: p.detach().clone() for name, p in self.module.named_parameters()})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("total", [1, 2, 7, 1000])
def test_contract(name, total):
    """Shares lie between 0 and 1; the first that counts begins anew, so no average holds fresh weights for long."""
    average = plugins.find(Average, name)()
    shares = [average.share_of_new(step, total) for step in range(total)]
    assert all(0 <= share <= 1 for share in shares)
    assert next(share for share in shares if share) == 1.0
    assert "average" in average.told(total)


def test_a_tail_is_the_mean_of_the_last_weights():
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 2)
    average, seen = RunningAverage(module, Tail(share=0.4)), []
    for step in range(10):
        with torch.no_grad():
            module.weight.normal_()
        seen.append(module.weight.detach().clone())
        average.follow(step, 10)
    with average.in_place():
        torch.testing.assert_close(module.weight.detach(), torch.stack(seen[6:]).mean(0))
    assert torch.equal(module.weight, seen[-1])


def test_an_ema_forgets():
    module = torch.nn.Linear(1, 1, bias=False)
    average = RunningAverage(module, Ema(memory=0.02))
    for step in range(100):
        with torch.no_grad():
            module.weight.fill_(float(step == 49))
        average.follow(step, 100)
        if step == 49:
            assert average.tensors["weight"].item() == 0.5
    assert 0 < average.tensors["weight"].item() < 1e-12


@pytest.mark.parametrize("config", [Tail(share=0.5), Ema(memory=0.2)], ids=str)
def test_training_does_not_feel_it_and_the_run_ends_with_it(tmp_path, config):
    """The same losses, evaluated otherwise; the module that `train` leaves has the average, its checkpoint what was
    trained."""
    run_toy(tmp_path / "plain", toy_training(**EVERY_FEW), module=toy_module(), evaluate=toy_evaluate)
    module = toy_module()
    watch = Watch(module)
    training = toy_training(**EVERY_FEW, average=config)
    run_toy(tmp_path / "run", training, module=module, evaluate=toy_evaluate, observers=[watch])
    assert losses(tmp_path / "run") == losses(tmp_path / "plain")
    expected = {}
    for step, seen in enumerate(watch.seen):
        share = config.share_of_new(step, 12)
        expected = {n: share * w + (1 - share) * expected.get(n, w) for n, w in seen.items()} if share else expected
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], msg=name)
        assert torch.equal(weights(tmp_path / "run")[f"model.{name}"], watch.seen[-1][name])
    figures = [r["figures"] for r in RunFolder(tmp_path / "run").metrics.read() if r["kind"] == "evaluation"]
    assert figures[-1]["score"] == pytest.approx(float(expected["decoder.bias"].square().sum()), rel=1e-5)


@pytest.mark.parametrize("step", [3, 8, 11])
def test_a_resume_keeps_it(tmp_path, step):
    """Broken off before, in and at the end of the tail; and a finished run that is asked for again has it too."""
    training = toy_training(**EVERY_FEW, average=Tail(share=0.5))
    unbroken, resumed, again = toy_module(), toy_module(), toy_module()
    run_toy(tmp_path / "unbroken", training, module=unbroken)
    with pytest.raises(Stopped):
        run_toy(tmp_path / "run", training, observers=[StopAt(step)])
    for module in (resumed, again):
        run_toy(tmp_path / "run", training, module=module)
    for (name, mine), theirs, third in zip(unbroken.named_parameters(), resumed.parameters(), again.parameters()):
        assert torch.equal(mine, theirs), name
        assert torch.equal(mine, third), name
