"""What is remembered of modules and optimizers comes back to the bit."""

import copy

import pytest
import torch
from torch import nn
from toy_run import toy_module

from afterbert.base.errors import UserError
from afterbert.training.checkpoints import generators, snapshot
from afterbert.training.optimizers.adamw import AdamW

CPU = torch.device("cpu")


def test_tied_weights_once():
    module = toy_module()
    names = set(snapshot.weights(module))
    assert "backbone.embedding.weight" in names
    assert "decoder.weight" not in names
    assert names == {name for name, _ in module.named_parameters()}


def test_weights_come_back_into_the_same_memory():
    module, other = toy_module(), toy_module()
    saved = copy.deepcopy(snapshot.weights(module))
    places = [parameter.data_ptr() for parameter in other.parameters()]
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    snapshot.restore_weights(other, saved)
    assert [parameter.data_ptr() for parameter in other.parameters()] == places
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters()))
    assert other.decoder.weight is other.backbone.embedding.weight


def test_buffers_and_empty_tensors():
    module = nn.BatchNorm1d(3)
    module.register_buffer("nothing", torch.zeros(0))
    module.register_buffer("nothing_more", torch.zeros(0))
    assert set(snapshot.weights(module)) == set(module.state_dict())


def test_weights_that_do_not_fit_are_named():
    module = toy_module()
    saved = dict(snapshot.weights(module))
    with pytest.raises(UserError, match=r"weight 'pair.weight' is absent there, \(2, 16\) here"):
        snapshot.restore_weights(module, {n: t for n, t in saved.items() if n != "pair.weight"})
    with pytest.raises(UserError, match=r"'pair.bias' is \(3,\) there, \(2,\) here"):
        snapshot.restore_weights(module, {**saved, "pair.bias": torch.zeros(3)})
    with pytest.raises(UserError, match=r"'more' is \(1,\) there, absent here"):
        snapshot.restore_weights(module, {**saved, "more": torch.zeros(1)})


def test_optimizer_state_of_a_parameter_that_is_not_trained_here():
    module = toy_module()
    optimizer = AdamW().build(module)
    with pytest.raises(UserError, match="parameter 'strange'"):
        snapshot.restore_optimizer(optimizer, module, snapshot.OptimizerState({"strange.exp_avg": torch.zeros(1)}, {}))


def test_scalars_of_an_optimizer_go_to_json():
    """torch's Adam keeps tensors only; others keep counters."""
    module = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    optimizer.state[module.weight]["turns"] = 3
    optimizer.state[module.weight]["memory"] = torch.ones(2, 2)
    saved = snapshot.optimizer_state(optimizer, module)
    assert saved.scalars == {"weight": {"turns": 3}}
    assert set(saved.tensors) == {"weight.memory"}
    other = torch.optim.SGD(module.parameters(), lr=0.1)
    snapshot.restore_optimizer(other, module, saved)
    assert other.state[module.weight]["turns"] == 3
    assert torch.equal(other.state[module.weight]["memory"], torch.ones(2, 2))


def test_undisturbed():
    module = toy_module(carries=True)
    module.pair.eval()
    module.memory = torch.ones(16)
    generators.seed(0)
    expected = torch.rand(3)
    generators.seed(0)
    with pytest.raises(KeyError), snapshot.undisturbed(module, CPU):
        assert not any(part.training for part in module.modules())
        assert not torch.is_grad_enabled()
        module.memory = torch.zeros(16)
        torch.rand(1)
        raise KeyError
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(module.memory, torch.ones(16))
    assert torch.is_grad_enabled()
    assert [name for name, part in module.named_modules() if not part.training] == ["pair"]
