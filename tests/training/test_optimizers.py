"""Every optimizer keeps the contract; AdamW is the paper's algorithm."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from toy_run import toy_module

from afterbert.base import plugins
from afterbert.models.encoder import Encoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.nn.embeddings import table_of
from afterbert.nn.feed_forwards.gated import Gated
from afterbert.nn.stack import Stack, StackModule
from afterbert.training.checkpoints import snapshot
from afterbert.training.optimizers import Optimizer
from afterbert.training.optimizers.adafactor import Adafactor
from afterbert.training.optimizers.adamax import Adamax
from afterbert.training.optimizers.adamw import AdamW
from afterbert.training.optimizers.lamb import Lamb
from afterbert.training.optimizers.muon import Muon, hidden_matrices_of, orthogonal

NAMES = plugins.names(Optimizer)


def names_in(group, module):
    names = {parameter: name for name, parameter in module.named_parameters()}
    return {names[parameter] for parameter in group["params"]}


def learn(module, optimizer, steps, seed=0):
    torch.manual_seed(seed)
    for _ in range(steps):
        for parameter in module.parameters():
            parameter.grad = torch.randn_like(parameter) if parameter.requires_grad else None
        optimizer.step()


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_every_trained_parameter_stands_in_one_group(self, name):
        module = toy_module()
        module.pair.weight.requires_grad_(False)
        optimizer = plugins.find(Optimizer, name)().build(module)
        listed = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        wanted = {parameter for parameter in module.parameters() if parameter.requires_grad}
        assert len(listed) == len(wanted)
        assert set(listed) == wanted
        assert all(group["initial_lr"] > 0 for group in optimizer.param_groups)

    def test_state_survives_by_name(self, name):
        """Put back by parameter name it moves as the one that went on, even with parameters numbered otherwise."""
        config = plugins.find(Optimizer, name)()
        module = toy_module()
        optimizer = config.build(module)
        learn(module, optimizer, 3)
        saved = copy.deepcopy(snapshot.optimizer_state(optimizer, module))

        twin = toy_module()
        twin.load_state_dict(module.state_dict())
        other = config.build(twin)
        other.param_groups.reverse()
        for group in other.param_groups:
            group["params"].reverse()
        snapshot.restore_optimizer(other, twin, saved)
        for one in (optimizer, other):
            for group in one.param_groups:
                group["lr"] = 0.02
        learn(module, optimizer, 3, seed=1)
        learn(twin, other, 3, seed=1)
        for (name, mine), theirs in zip(module.named_parameters(), twin.parameters()):
            assert torch.equal(mine, theirs), name

    def test_lowers_a_bowl(self, name):
        module = nn.Linear(4, 4)
        optimizer = plugins.find(Optimizer, name)().build(module)
        for group in optimizer.param_groups:
            group["lr"] = 0.05
        first = None
        for _ in range(50):
            loss = module.weight.square().sum() + (module.bias - 1).square().sum()
            first = loss.item() if first is None else first
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.5 * first


def test_vectors_do_not_decay_and_embeddings_as_asked():
    module = toy_module()
    vectors = {"backbone.mix.bias", "backbone.norm.weight", "backbone.norm.bias", "decoder.bias", "pair.bias"}
    table = "backbone.embedding.weight"  # the decoder's too
    decayed, kept = AdamW().build(module).param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.01, 0.0)
    assert names_in(kept, module) == vectors
    assert table in names_in(decayed, module)
    decayed, kept = AdamW(decay_embeddings=False).build(module).param_groups
    assert names_in(kept, module) == {*vectors, table}


def test_biases_that_are_matrices_do_not_decay():
    """XLNet's three are [heads, head width]; its release spares whatever is called a bias."""
    module = Permutation(hidden_size=8, num_attention_heads=2, num_hidden_layers=1).module(20)
    decayed, kept = AdamW().build(module).param_groups
    matrices = {name for name, parameter in module.named_parameters() if parameter.ndim > 1}
    biases = {name for name in matrices if name.endswith("bias")}
    assert {name.rpartition(".")[2] for name in biases} == {"bias", "content_bias", "distance_bias"}
    assert biases <= names_in(kept, module)
    assert names_in(decayed, module) == matrices - biases


def test_adamw_is_the_papers_algorithm():
    """Algorithm 2 of 1711.05101 written out in float64."""
    torch.manual_seed(0)
    module = nn.Linear(5, 3, bias=False)
    rate, beta1, beta2, eps, decay = 0.01, 0.8, 0.95, 1e-7, 0.1
    config = AdamW(learning_rate=rate, beta1=beta1, beta2=beta2, eps=eps, weight_decay=decay)
    optimizer = config.build(module)
    weight = module.weight.detach().double().numpy().copy()
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for step in range(1, 6):
        gradient = torch.randn_like(module.weight)
        module.weight.grad = gradient
        optimizer.step()
        g = gradient.double().numpy()
        mean = beta1 * mean + (1 - beta1) * g
        square = beta2 * square + (1 - beta2) * g**2
        adapted = (mean / (1 - beta1**step)) / (np.sqrt(square / (1 - beta2**step)) + eps)
        weight = weight - rate * (adapted + decay * weight)
    np.testing.assert_allclose(module.weight.detach().numpy(), weight, atol=1e-6)


def test_adamax_is_the_papers_algorithm():
    """Algorithm 2 of 1412.6980 written out in float64."""
    torch.manual_seed(0)
    module = nn.Linear(5, 3, bias=False)
    rate, beta1, beta2 = 0.01, 0.8, 0.5
    optimizer = Adamax(learning_rate=rate, beta1=beta1, beta2=beta2).build(module)
    weight = module.weight.detach().double().numpy().copy()
    mean, largest = np.zeros_like(weight), np.zeros_like(weight)
    for step in range(1, 6):
        module.weight.grad = torch.randn_like(module.weight)
        optimizer.step()
        g = module.weight.grad.double().numpy()
        mean = beta1 * mean + (1 - beta1) * g
        largest = np.maximum(beta2 * largest, np.abs(g))
        weight = weight - rate / (1 - beta1**step) * mean / largest
    np.testing.assert_allclose(module.weight.detach().numpy(), weight, atol=1e-6)


def test_lamb_is_the_papers_algorithm():
    """Algorithm 2 of 1904.00962 in float64; a bias moves as in Adam, a matrix of zeros by the plain step."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 3, bias=False))
    rate, beta1, beta2, eps, decay = 0.01, 0.8, 0.95, 1e-6, 0.1
    optimizer = Lamb(learning_rate=rate, beta1=beta1, beta2=beta2, eps=eps, weight_decay=decay).build(module)
    with torch.no_grad():
        module[1].weight.zero_()
    weights = [parameter.detach().double().numpy().copy() for parameter in module.parameters()]
    means, squares = ([np.zeros_like(weight) for weight in weights], [np.zeros_like(weight) for weight in weights])
    for step in range(1, 6):
        for parameter in module.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        for number, parameter in enumerate(module.parameters()):
            g, weight = parameter.grad.double().numpy(), weights[number]
            means[number] = beta1 * means[number] + (1 - beta1) * g
            squares[number] = beta2 * squares[number] + (1 - beta2) * g**2
            update = (means[number] / (1 - beta1**step)) / (np.sqrt(squares[number] / (1 - beta2**step)) + eps)
            length = np.linalg.norm(weight)
            if weight.ndim > 1:
                update = update + decay * weight
                update = update * (length / np.linalg.norm(update) if length else 1.0)
            weights[number] = weight - rate * update
    for parameter, weight in zip(module.parameters(), weights):
        np.testing.assert_allclose(parameter.detach().numpy(), weight, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-18])
def test_adafactor_is_the_papers_algorithm(size):
    """Algorithms 4 (matrices) and 5 (vectors) of 1804.04235 written out in float64, for gradients of any size."""
    torch.manual_seed(0)
    module = nn.Linear(5, 3)
    rate, scale = 0.01, 1e-3
    optimizer = Adafactor(learning_rate=rate, weight_decay=0.1).build(module)
    with torch.no_grad():
        module.bias.mul_(1e-5)  # smaller than the smallest scale
    weights = [parameter.detach().double().numpy().copy() for parameter in module.parameters()]
    rows, columns, squares = np.zeros((3, 1)), np.zeros((1, 5)), np.zeros(3)
    for step in range(1, 6):
        for parameter in module.parameters():
            parameter.grad = torch.randn_like(parameter) * size * step
        gradients = [parameter.grad.double().numpy() for parameter in module.parameters()]
        optimizer.step()
        kept = 1 - step**-0.8
        matrix, vector = gradients[0] ** 2 + 1e-30, gradients[1] ** 2 + 1e-30
        rows = kept * rows + (1 - kept) * matrix.sum(axis=1, keepdims=True)
        columns = kept * columns + (1 - kept) * matrix.sum(axis=0, keepdims=True)
        squares = kept * squares + (1 - kept) * vector
        weights[0] = weights[0] * (1 - rate * 0.1)
        updates = [gradients[0] / np.sqrt(rows * columns / rows.sum()), gradients[1] / np.sqrt(squares)]
        for number, update in enumerate(updates):
            alpha = rate * max(scale, np.sqrt((weights[number] ** 2).mean()))
            weights[number] = weights[number] - alpha * update / max(1.0, np.sqrt((update**2).mean()))
    for parameter, weight in zip(module.parameters(), weights):
        np.testing.assert_allclose(parameter.detach().numpy(), weight, rtol=1e-4, atol=1e-9)


def test_adafactor_moves_as_transformers_does():
    from transformers.optimization import Adafactor as Theirs

    mine, yours = toy_module(), toy_module()
    yours.load_state_dict(mine.state_dict())
    optimizer = Adafactor(learning_rate=0.02).build(mine)
    other = Theirs(yours.parameters(), lr=0.02, scale_parameter=True, relative_step=False)
    for step in range(5):
        learn(mine, optimizer, 1, seed=step)
        learn(yours, other, 1, seed=step)
    for (name, own), their in zip(mine.named_parameters(), yours.parameters()):
        torch.testing.assert_close(own, their, rtol=1e-5, atol=1e-7, msg=name)


SMALL = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 12}


def orthogonalised(matrix):
    """Three polynomials on singular values in float64, which begin with a sum of eighth powers of 1."""
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    sizes = sizes / (sizes**8).sum() ** (1 / 8)
    for a, b, c in ((8.0934, -23.6204, 17.4462), (3.6366, -2.7219, 0.5365), (2.6613, -1.9772, 0.4526)):
        sizes = a * sizes + b * sizes**3 + c * sizes**5
    return left * sizes @ right


def test_muon_is_the_papers_algorithm():
    """Query, key and value apart, the halves of a gated unit apart; AdamW's very updates for all else."""
    torch.manual_seed(0)
    module = Encoder(**SMALL, stack=Stack(feed_forward=Gated())).module(20)
    twin = copy.deepcopy(module)
    optimizer = Muon(learning_rate=0.01, momentum=0.9, weight_decay=0.1, update_size=0.3).build(module)
    other = AdamW(learning_rate=0.01, weight_decay=0.1).build(twin)
    parts = {name: 3 if "qkv" in name else 2 if "input" in name else 1 for name, _ in module.named_parameters()}
    hidden = {name for name in parts if "stack" in name and name.endswith("weight") and "norm" not in name}
    assert len(hidden) == 8
    known = {name: p.detach().double().numpy().copy() for name, p in module.named_parameters() if name in hidden}
    means = {name: np.zeros_like(weight) for name, weight in known.items()}
    for step in range(3):
        learn(module, optimizer, 1, seed=step)
        learn(twin, other, 1, seed=step)
        for name, parameter in module.named_parameters():
            if name in hidden:
                gradient = parameter.grad.double().numpy()
                means[name] = 0.9 * means[name] + 0.1 * gradient
                update = []
                for matrix in np.split(0.1 * gradient + 0.9 * means[name], parts[name]):
                    update.append(0.3 * max(matrix.shape) ** 0.5 * orthogonalised(matrix))
                known[name] = known[name] * (1 - 0.01 * 0.1) - 0.01 * np.concatenate(update)
    for (name, mine), theirs in zip(module.named_parameters(), twin.parameters()):
        if name in hidden:
            np.testing.assert_allclose(mine.detach().numpy(), known[name], atol=2e-5, err_msg=name)
        else:
            assert torch.equal(mine, theirs), name


def test_muon_moves_a_plain_matrix_as_torch_does():
    """Whose singular values end elsewhere between 0.7 and 1.3, and which has 8 exact bits; a step is 0.012 in size."""
    torch.manual_seed(0)
    mine, theirs = nn.Linear(6, 9, bias=False), nn.Linear(6, 9, bias=False)
    theirs.load_state_dict(mine.state_dict())
    start, holder = mine.weight.detach().clone(), nn.Module()
    holder.layer, holder.hidden_matrices = mine, {"layer": 1}
    optimizer = Muon(learning_rate=0.02, weight_decay=0.1).build(holder)
    other = torch.optim.Muon(theirs.parameters(), lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        learn(holder, optimizer, 1, seed=step)
        learn(theirs, other, 1, seed=step)
    moved, expected = (one.weight.detach() - start for one in (mine, theirs))
    assert torch.cosine_similarity(moved.flatten(), expected.flatten(), dim=0) > 0.97
    assert 0.8 < moved.norm() / expected.norm() < 1.25


def test_orthogonal_keeps_directions_and_loses_sizes():
    """Batched over shapes and turned ones, each as alone; singular values near 1, singular vectors untouched."""
    torch.manual_seed(0)
    matrices = [torch.randn(shape) for shape in [(4, 9), (9, 4), (5, 5), (4, 9)]]
    found = orthogonal([*matrices, torch.zeros(5, 5)])
    for matrix, result in zip(matrices, found):
        torch.testing.assert_close(result, orthogonal([matrix])[0])
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        sizes = left.T @ result @ right.T
        torch.testing.assert_close(sizes, torch.diag(sizes.diag()), atol=1e-4, rtol=0)
        assert 0.7 < sizes.diag().min() < sizes.diag().max() < 1.3
    assert not found[-1].any()


@pytest.mark.parametrize(
    "model",
    [
        Encoder(**SMALL),
        Encoder(**SMALL, stack=Stack(feed_forward=Gated())),
        EncoderDecoder(**SMALL),
        Permutation(**SMALL),
    ],
    ids=["encoder", "gated", "encoder_decoder", "permutation"],
)
def test_every_linear_layer_of_a_stack_says_that_it_is_hidden(model):
    module = model.module(20)
    stacks = [part for part in module.modules() if isinstance(part, StackModule)] or [module]
    layers = {id(part.weight) for stack in stacks for part in stack.modules() if isinstance(part, nn.Linear)}
    hidden = dict(hidden_matrices_of(module))
    assert {id(weight) for weight in hidden} == layers
    assert all(len(weight) % parts == 0 for weight, parts in hidden.items())


def test_muon_may_move_hidden_matrices_once_in_some_steps():
    """Each in its turn, as far as in all of the steps, by a momentum that has taken in each gradient; all else moves at
    each step."""
    torch.manual_seed(0)
    module = Encoder(**SMALL).module(20)
    rare = Muon(learning_rate=0.01, momentum=0.9, weight_decay=0.1, every=3).build(module)
    hidden = [weight for weight, parts in hidden_matrices_of(module) if parts == 1]
    momentum, moved = [torch.zeros_like(weight) for weight in hidden], [[] for _ in hidden]
    for step in range(6):
        before, table = [weight.detach().clone() for weight in hidden], table_of(module).weight.detach().clone()
        learn(module, rare, 1, seed=step)
        assert not torch.equal(table_of(module).weight, table)
        for number, (weight, start) in enumerate(zip(hidden, before)):
            momentum[number] = 0.9 * momentum[number] + 0.1 * weight.grad
            if torch.equal(weight, start):
                continue
            moved[number].append(step)
            (update,) = orthogonal([0.1 * weight.grad + 0.9 * momentum[number]])
            expected = start * (1 - 0.03 * 0.1) - 0.03 * 0.2 * max(weight.shape) ** 0.5 * update
            torch.testing.assert_close(weight.detach(), expected, rtol=1e-4, atol=1e-6)
    assert {tuple(steps) for steps in moved} == {(0, 3), (1, 4), (2, 5)}


def test_muon_in_chunks_moves_alike(monkeypatch):
    mine, yours = Encoder(**SMALL).module(20), Encoder(**SMALL).module(20)
    yours.load_state_dict(mine.state_dict())
    learn(mine, Muon().build(mine), 2)
    monkeypatch.setattr("afterbert.training.optimizers.muon._MOST_AT_ONCE", 200)
    learn(yours, Muon().build(yours), 2)
    for own, their in zip(mine.parameters(), yours.parameters()):
        torch.testing.assert_close(own, their, rtol=1e-5, atol=1e-7)
