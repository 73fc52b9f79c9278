"""Cross-entropy of a linear layer's logits without ever holding them all.

The logits of some rows at a time are turned into their own gradient as soon as they are there, so a step holds
two blocks of them instead of three copies of [N, V], and the backward pass is a multiplication by one number.
Axes: N rows, D width, V vocabulary.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

#: Logits at a time, 32 MB in float32: larger blocks gain little on a CPU, smaller ones split the products.
BLOCK = 1 << 23
# Shares below this lose digits towards the end of float32's range.
_EXACT = 1e-30


def linear_cross_entropy(
    hidden: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor, *, log_weights: Tensor | None = None
) -> Tensor:
    """Returns the *sum* over rows of the cross-entropy of `hidden table^T + bias` at targets, a float32 scalar.

    hidden: [N, D]; table: [V, D]; bias: [V] or None; targets: int64 [N], each in [0, V). 0 for no rows. log_weights
    [V]: by how much each logit counts in the sums of the softmax, the target's own always once; -inf leaves one out.
    Under autocast the products are made in its type, everything else in float32.
    """
    total: Tensor = _LinearCrossEntropy.apply(hidden, table, bias, targets, log_weights)
    return total


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor, log_weights: Tensor | None
    ) -> Tensor:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else table.dtype
        wants = any(ctx.needs_input_grad)
        with torch.autocast(device, enabled=False):
            total, gradients = _score(
                hidden, table, bias, targets, dtype, log_weights=log_weights, wants_gradients=wants
            )
        ctx.gradients = gradients
        return total.float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        # in place: each is as large as the weights, and nobody else has seen it. So there is one backward pass.
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise RuntimeError("this score has been back-propagated already; compute it again")
        return *(None if each is None else each.mul_(factor) for each in gradients), None, None


def _score(
    hidden: Tensor,
    table: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    dtype: torch.dtype,
    *,
    log_weights: Tensor | None,
    wants_gradients: bool,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor | None] | None]:
    """The sum, and its gradients by hidden, table and bias."""
    wide = torch.promote_types(dtype, torch.float32)
    total = torch.zeros((), dtype=wide, device=hidden.device)
    narrow, weight = hidden.to(dtype), table.to(dtype)
    at_bias = None if bias is None else bias.to(dtype)
    by_hidden, by_table = torch.empty_like(hidden), torch.zeros_like(table)
    by_bias = None if bias is None else torch.zeros_like(bias)
    # blocks of equal size: every product reads the whole table, which a few rows left over hardly repay
    blocks = math.ceil(len(hidden) / max(1, BLOCK // len(table)))
    rows = math.ceil(len(hidden) / max(1, blocks))
    for start in range(0, len(hidden), max(1, rows)):
        part = slice(start, start + rows)
        logits, at = F.linear(narrow[part], weight, at_bias), targets[part, None]
        if log_weights is not None:
            own = logits.gather(1, at)
            logits = logits.add_(log_weights.to(dtype)).scatter_(1, at, own)
        shares = torch.softmax(logits, dim=-1, dtype=wide)
        total += _surprises(logits, shares, at).sum()
        if wants_gradients:
            # shares minus one at the target
            by_logits = shares.scatter_add_(1, at, shares.new_full((1, 1), -1.0).expand_as(at))
            if by_bias is not None:
                by_bias += by_logits.sum(0)
            by_logits = by_logits.to(dtype)
            by_hidden[part] = by_logits @ weight
            if dtype == by_table.dtype:
                by_table.addmm_(by_logits.t(), narrow[part])  # adds within the product
            else:
                by_table += by_logits.t() @ narrow[part]
    return total, (by_hidden, by_table, by_bias) if wants_gradients else None


def _surprises(logits: Tensor, shares: Tensor, at: Tensor) -> Tensor:
    """Minus the logarithm of each row's share at its target, [N]; `shares` are the softmax of `logits`."""
    told = shares.gather(1, at).squeeze(1)
    if not told.is_cuda and bool((told > _EXACT).all()):
        return -told.log()
    # log-sum-exp from what is there: the largest share is at least 1 / V, so its logarithm is exact enough
    norms = logits.amax(-1).to(shares.dtype) - shares.amax(-1).log()
    return norms - logits.gather(1, at).squeeze(1).to(shares.dtype)
