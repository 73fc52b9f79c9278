"""Drawing pieces from a model's logits with noise that came with the batch: the same row, the same sample."""

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 128


def sampled(logits: Tensor, uniforms: Tensor, *, temperature: float, is_barred: Tensor) -> Tensor:
    """Ids [N] drawn from softmax(logits / temperature), logits [N, V]; never one that `is_barred` (bool [V]).

    By inversion in two steps, first a block of neighbouring ids and then one of the block: 24 random bits for
    each keep rare pieces possible, which 24 bits for all V would not.
    """
    scores = (logits.detach().float() / temperature).masked_fill(is_barred, float("-inf"))
    shares = F.pad(scores.softmax(-1), (0, -scores.shape[1] % _BLOCK)).unflatten(1, (-1, _BLOCK))
    block = _drawn(shares.sum(-1), uniforms[:, 0])
    each = torch.arange(len(block), device=block.device)
    return block * _BLOCK + _drawn(shares[each, block], uniforms[:, 1])


def _drawn(shares: Tensor, uniforms: Tensor) -> Tensor:
    """[N]: k with a probability proportional to shares[n, k] >= 0; a share of 0 is never drawn.

    >>> _drawn(torch.tensor([[1.0, 0.0, 1.0]] * 3), torch.tensor([0.0, 0.49, 0.5])).tolist()
    [0, 0, 2]
    """
    # a product with a triangle: running sums in parallel are not the same twice on an accelerator
    triangle = torch.ones(shares.shape[1], shares.shape[1], device=shares.device, dtype=shares.dtype).triu()
    with torch.autocast(shares.device.type, enabled=False):  # a few bits would not tell rare pieces apart
        upto = shares @ triangle
    reached = (upto > uniforms[:, None] * upto[:, -1:]) & (shares > 0)
    return torch.where(reached.any(-1), reached.byte().argmax(-1), shares.argmax(-1))
