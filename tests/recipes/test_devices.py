"""Every recipe keeps all its tensors on one device; where there is a GPU, it learns there what it learns here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from tiny import feed_of, first_losses, fresh, tiny_recipe
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from afterbert.nn import cross_entropy
from afterbert.recipes import known

META = torch.device("meta")
# One of each kind: pair question, generator, words of a span, memory's two streams, encoder and decoder, left to
# right, halting, members of a mixture, pointers, labels of rows.
KINDS = (
    *("bert", "electra", "spanbert", "xlnet", "t5", "gpt2", "universal-transformer", "masked-causal"),
    *("find-true-start", "find-deleted", "albert-sop", "xlm", "unilm"),
)


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, as a GPU does; the device without numbers lets some pass."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        devices = {tensor.device for tensor in tensors if tensor.ndim}  # a GPU takes the processor's scalars
        assert len(devices) <= 1, f"{func} of {devices}"
        return func(*args, **(kwargs or {}))


@pytest.fixture
def without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets code run on a device that knows shapes only: no autocast is there, and no number to decide by."""
    told: Callable = lambda logits, shares, at: logits.gather(1, at).squeeze(1)  # noqa: E731
    monkeypatch.setattr(cross_entropy, "_surprises", told)
    monkeypatch.setattr(torch, "autocast", lambda *args, **settings: nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *args: False)


@pytest.mark.usefixtures("without_numbers")
@pytest.mark.parametrize("name", KINDS)
def test_no_tensor_is_made_elsewhere(name: str) -> None:
    recipe = tiny_recipe(name, steps=1)
    module = fresh(recipe).to(META).train(name != "xlnet")  # its memory is as long as its slots' numbers say
    for batch in feed_of(recipe).step(0):
        arrays = {key: torch.from_numpy(array.copy()).to(META) for key, array in batch.arrays.items()}
        with OneDevice():
            scores = module(arrays)
        assert {score.device for score in scores.values()} == {META}
        torch.stack([score.float() for score in scores.values()]).sum().backward()
    assert all(weight.grad is None or weight.grad.device == META for weight in module.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", known())
def test_a_gpu_learns_the_same(name: str, precision: str) -> None:
    recipe = tiny_recipe(name, steps=3)
    expected = first_losses(recipe, 3)
    on_gpu = replace(recipe, training=replace(recipe.training, precision=precision))
    found = first_losses(on_gpu, 3, on="cuda")
    assert found == pytest.approx(expected, rel=1e-3 if precision == "fp32" else 3e-2)
