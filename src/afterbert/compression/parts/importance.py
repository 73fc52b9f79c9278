"""How much the loss of a task would change without a head or a neuron, told from one pass forward and back.

Source: Michel et al. (1905.10650), Section 3.2: with a gate before each part that is 1, its importance is the mean over
rows of |dL/dgate|, which is |part . dL/dpart|. Molchanov et al. (1611.06440), Equation 7, take the same for neurons.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.compression.methods import Setting
from afterbert.compression.subject import Subject


def scores_of(
    subject: Subject, setting: Setting, part: Literal["attention", "feed_forward"], *, width: int
) -> list[Tensor]:
    """Returns the mean importance of the heads or neurons, of `width` channels each, in this part of every layer. The
    loss is the task's, without dropout, on training rows."""
    assert subject.tuned is not None
    module = subject.tuned.module.eval()
    layers = [one.inner.output for one in getattr(cast(Any, module.backbone).stack, part)]
    found = [torch.zeros(0)] * len(layers)
    num_rows = 0
    for arrays in setting.batches(subject):
        with _inputs(layers) as read:
            loss = torch.stack(list(module(arrays).values())).sum()
        gradients = torch.autograd.grad(loss, read)
        for number, (value, gradient) in enumerate(zip(read, gradients)):
            product = (value.detach() * gradient).unflatten(-1, (-1, width)).sum(-1)
            by_row = product.sum(1) if product.dim() == 3 else product  # some places of each row alone: [N, parts]
            total = by_row.abs().sum(0)
            found[number] = total if not len(found[number]) else found[number] + total
        num_rows += len(arrays["input_ids"])
    return [total.cpu() / num_rows for total in found]


def scores_by_chance(setting: Setting, stream: str, counts: Sequence[int]) -> list[Tensor]:
    """Returns random scores for the parts of each layer: the control."""
    noise = setting.noise.of(stream)
    return [torch.from_numpy(noise.of(str(layer)).uniform(np.arange(n))) for layer, n in enumerate(counts)]


def without_lowest(scores: Sequence[Tensor], number: int) -> list[Tensor]:
    """Returns for each layer the numbers of the parts that stay when `number` parts go, the lowest of all. The best
    part of each layer stays.

    >>> [kept.tolist() for kept in without_lowest([torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.9, 0.4])], 2)]
    [[1], [1, 2]]
    """
    safe = [one.index_fill(0, one.argmax(), torch.inf) for one in scores]
    order = torch.cat(safe).argsort(stable=True)
    gone = torch.zeros(len(order), dtype=torch.bool)
    gone[order[:number]] = True
    return [(~one).nonzero()[:, 0] for one in gone.split([len(one) for one in scores])]


@contextmanager
def _inputs(layers: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Inside the block, what each layer reads is kept, once a layer, so that its gradient can be asked for."""
    read: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = given[0] if given[0].requires_grad else given[0].detach().requires_grad_()
        read.append(hidden)
        return (hidden, *given[1:])

    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(layer.register_forward_pre_hook(keep))
        yield read
