"""The gradient of a step does not depend on how its rows are cut into micro-batches."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy_run import ToyModule, pose, toy_feed, toy_module, toy_training

from afterbert.training.distribution.parallel import Single
from afterbert.training.distribution.processes import Processes, SingleProcess
from afterbert.training.precision import Precision
from afterbert.training.step import Passes, grad_norm, to_tensors

CPU = torch.device("cpu")
FP32 = Precision("fp32", "")


def found(module, batches, *, precision=FP32, processes=None):
    module.zero_grad(set_to_none=True)
    result = Passes(Single(module), precision, processes or SingleProcess()).gradient(batches)
    return result, {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(step=st.integers(0, 20), micro=st.integers(1, 7))
def test_accumulation_equals_the_big_batch(step, micro):
    """Rows of 3 to 12 pieces, parts with different counts: averages of averages would be off by far more."""
    module, feed = toy_module(dropout=0.0), toy_feed(toy_training())
    whole, expected = found(module, feed.step(step))
    pieces, gradients = found(module, feed.step(step, micro_batch_size=micro))
    for name, expect in expected.items():
        np.testing.assert_allclose(gradients[name], expect, atol=1e-6, rtol=1e-5, err_msg=name)
    assert pieces.counts == whole.counts
    assert pieces.losses == pytest.approx(whole.losses, rel=1e-6)
    assert pieces.norm == pytest.approx(whole.norm, rel=1e-5)


def test_losses_and_total_against_plain_torch():
    module, batch = toy_module(dropout=0.0), toy_feed(toy_training()).step(0)[0]
    result, gradients = found(module, [batch])
    module.zero_grad()
    sums = module(to_tensors(batch.arrays, CPU))
    loss = sums["masked"] / batch.counts["masked"] + 0.5 * sums["long"] / batch.counts["long"]
    loss.backward()
    assert result.total == pytest.approx(loss.item(), rel=1e-6)
    assert result.losses["long"] == pytest.approx(sums["long"].item() / batch.counts["long"], rel=1e-6)
    norm = torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item()
    assert result.norm == pytest.approx(norm, rel=1e-6)
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(gradients[name], parameter.grad, atol=1e-7)


def silent(plan, numbers, noise):
    """Asks nothing: no piece chosen, no row labelled."""
    batch = pose(plan, numbers, noise)
    arrays = {name: array if name == "piece_ids" else array[:0] for name, array in batch.arrays.items()}
    return type(batch)(arrays, {"masked": 0, "long": 0}, batch.num_tokens, batch.row_keys)


def test_a_step_that_asks_nothing():
    module = toy_module()
    result, gradients = found(module, toy_feed(toy_training(), pose=silent).step(0))
    assert result.is_finite
    assert (result.total, result.losses, result.norm) == (0, {"masked": 0, "long": 0}, 0)
    assert all(not gradient.any() for gradient in gradients.values())


def test_a_silent_micro_batch_changes_nothing():
    module = toy_module(dropout=0.0)
    asks, asks_not = toy_feed(toy_training()).step(0), toy_feed(toy_training(), pose=silent).step(1)
    alone, expected = found(module, asks)
    both, gradients = found(module, [*asks_not, *asks])
    assert both.losses == pytest.approx(alone.losses)
    for name, expect in expected.items():
        np.testing.assert_allclose(gradients[name], expect, atol=1e-7)


class NoGraph(ToyModule):
    def forward(self, arrays):
        return {"masked": torch.zeros(())}


def test_a_score_without_a_graph():
    module = NoGraph()
    result, gradients = found(module, toy_feed(toy_training()).step(0))
    assert (result.total, result.norm, gradients) == (0, 0, {})


def test_the_norm_of_no_gradients_is_where_the_others_would_be():
    """Else it could not cross from a GPU together with the other figures."""
    norm = grad_norm(torch.nn.Linear(2, 2, device="meta"))
    assert (norm.device.type, norm.dtype, norm.shape) == ("meta", torch.float32, ())


class Two(Processes):
    """As if a second process had the same numbers."""

    rank, size = 0, 2

    def total(self, numbers):
        return [2 * number for number in numbers]

    def most(self, number):
        return number

    def gathered(self, value):
        return [value, value]

    def on_rank_zero(self, action):
        return action()


def test_counts_of_other_processes_and_their_averaging():
    """Twice the counts, and the gradient that DDP's mean over two equal processes makes right again."""
    module, batches = toy_module(dropout=0.0), toy_feed(toy_training()).step(0)
    alone, expected = found(module, batches)
    both, gradients = found(module, batches, processes=Two())
    assert both.counts == {name: 2 * count for name, count in alone.counts.items()}
    assert both.losses == pytest.approx(alone.losses)
    for name, expect in expected.items():
        np.testing.assert_allclose(gradients[name], expect, atol=1e-7)


def test_the_module_hears_first_what_all_processes_ask():
    heard = []

    class Listens(ToyModule):
        def before_passes(self, counts):
            heard.append(dict(counts))

        def forward(self, arrays):
            heard.append("pass")
            return super().forward(arrays)

    batches = toy_feed(toy_training()).step(0, micro_batch_size=4)
    result, _ = found(Listens(), batches, processes=Two())
    assert heard == [result.counts, "pass", "pass"]


def test_bf16_is_near_and_its_weights_stay_fp32():
    module, batches = toy_module(dropout=0.0), toy_feed(toy_training()).step(0)
    exact, _ = found(module, batches)
    rough, gradients = found(module, batches, precision=Precision("bf16", ""))
    assert rough.total != exact.total
    assert rough.total == pytest.approx(exact.total, rel=0.02)
    assert all(gradient.dtype == torch.float32 for gradient in gradients.values())


def test_arrays_keep_their_types_and_are_never_changed():
    arrays = {
        "ids": np.arange(6, dtype=np.int32).reshape(2, 3),
        "turned": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "chosen": np.array([True, False]),
        "frozen": np.arange(3.0),
    }
    arrays["frozen"].flags.writeable = False
    tensors = to_tensors(arrays, CPU)
    assert [t.dtype for t in tensors.values()] == [torch.int32, torch.int64, torch.bool, torch.float64]
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name].numpy(), array)
