"""Muon: the update of a hidden matrix is made orthogonal, so that it moves in all directions alike.

Sources: Jordan 2024 (kellerjordan.github.io/posts/muon): momentum as Nesterov has it, then a quintic Newton-Schulz
iteration; query, key and value each apart. Liu et al. 2025 (2502.16982), Section 2.2: decoupled weight decay, and an
update scaled to the size that AdamW's has, so that one learning rate serves both. Amsel et al. 2025 (2505.16932): the
best polynomial for each step. `torch.optim.Muon` takes five steps of one polynomial where three do here; it goes matrix
by matrix in bfloat16, and takes neither packed matrices nor pieces.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.numbers import NotNegative, Positive
from afterbert.training.distribution.pieces import in_one, like
from afterbert.training.optimizers._adam import AdamKind
from afterbert.training.optimizers.adamw import adamw

_QUINTICS = ((8.0934, -23.6204, 17.4462), (3.6366, -2.7219, 0.5365), (2.6613, -1.9772, 0.4526))
"""a x + b x^3 + c x^5, one step after another: the best that three do for singular values from 0.01 to 1, which end
between 0.73 and 1.27 (by Remez's algorithm, 2505.16932 Section 3; Jordan's five end between 0.7 and 1.2)."""
_SMALLEST = 1e-20
_MOST_AT_ONCE = 1 << 24  # numbers that one batched iteration holds, so that shards stay worth having


@dataclass(frozen=True)
class Muon(AdamKind):
    """Orthogonal updates for the hidden matrices; AdamW, by the settings that both have, for all else: embeddings,
    norms, biases, last layers. A module says itself which its hidden matrices are, see `hidden_matrices_of`.

    >>> Muon(momentum=1.0)
    Traceback (most recent call last):
    afterbert.base.errors.UserError: momentum is 1.0; it must be at least 0 and below 1
    """

    learning_rate: Positive = 3e-3
    """The peak, for hidden matrices and for all else."""
    weight_decay: NotNegative = 0.01
    update_size: Positive = 0.2
    """Root mean square of a hidden matrix's update at a learning rate of 1; AdamW's is 0.2 to 0.4 (2502.16982)."""
    momentum: float = 0.95
    """How much of the running mean of a hidden matrix's gradients a step keeps."""

    every: Annotated[int, Field(ge=1, le=100)] = 1
    """In how many steps a hidden matrix moves once, as far as in all of them; its momentum takes in each gradient. They
    take turns, so that every step costs alike. The mean of many gradients hardly turns from one step to the next, and
    finding the update is what takes time."""

    numbers_per_weight: ClassVar[float] = 1  # the momentum; two for the rest, but memory is reckoned as a lower bound

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise UserError(f"momentum is {self.momentum}; it must be at least 0 and below 1")

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        parts = {id(weight): count for weight, count in hidden_matrices_of(module)}
        groups: list[dict] = []
        for group in self.groups(module):
            for is_hidden in (True, False):
                mine = [weight for weight in group["params"] if (id(weight) in parts) == is_hidden]
                groups += [{**group, "params": mine, "is_hidden": is_hidden}] if mine else []
        return _Muon(groups, self, parts)


def hidden_matrices_of(module: nn.Module) -> Iterator[tuple[nn.Parameter, int]]:
    """Yields each hidden matrix once, and how many matrices it packs one above the other.

    Every part that has some says so: `hidden_matrices`, the name of each of its linear layers -> that number.
    """
    seen: set[int] = set()
    for part in module.modules():
        named: Any = getattr(part, "hidden_matrices", {})
        for name, count in named.items():
            weight = getattr(part, name).weight
            if id(weight) not in seen:
                seen.add(id(weight))
                yield weight, count


class _Muon(torch.optim.Optimizer):
    """State of a hidden matrix: `momentum`, of its shape and in pieces where it is; `step` where matrices take turns;
    of all else torch's AdamW's.

    parts: id of a hidden matrix -> how many it packs.
    """

    def __init__(self, groups: list[dict], config: Muon, parts: dict[int, int]):
        others = [group for group in groups if not group["is_hidden"]]
        self._adamw = adamw(others, config) if others else None
        hidden = [group for group in groups if group["is_hidden"]]
        self._turns = _turns([weight for group in hidden for weight in group["params"]], config.every)
        super().__init__([*hidden, *(self._adamw.param_groups if self._adamw else ())], {"lr": config.learning_rate})
        self._config, self._parts = config, parts

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]  # the stub overloads it
        assert closure is None, "the trainer has made the gradients"
        for group in self.param_groups:
            if group["is_hidden"]:
                self._step(group)
        if self._adamw is not None:
            self._adamw.param_groups = [group for group in self.param_groups if not group["is_hidden"]]
            self._adamw.state = self.state
            self._adamw.step()

    def _step(self, group: dict) -> None:
        """Takes the gradients of hidden matrices in, and moves those whose turn it is."""
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if not weights:
            return
        torch._foreach_lerp_(self._momenta(weights), [weight.grad for weight in weights], 1 - self._config.momentum)
        every = self._config.every
        for some in _chunks(weights if every == 1 else self._due(weights)):
            self._move(some, group["lr"] * every, group["weight_decay"])

    def _due(self, weights: Sequence[nn.Parameter]) -> list[nn.Parameter]:
        """Those whose turn it is; a checkpoint keeps how often each was asked."""
        asked = [self.state[weight].setdefault("step", torch.zeros(())) for weight in weights]
        steps = torch.stack(asked).tolist()
        torch._foreach_add_(asked, 1)
        return [w for w, step in zip(weights, steps) if int(step) % self._config.every == self._turns[id(w)]]

    def _momenta(self, weights: Sequence[nn.Parameter]) -> list[Tensor]:
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        return [self.state[weight]["momentum"] for weight in weights]

    def _move(self, weights: Sequence[nn.Parameter], rate: float, weight_decay: float) -> None:
        """Moves these weights, with as few batched products as their shapes allow."""
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        ahead = torch._foreach_lerp(gradients, self._momenta(weights), self._config.momentum)  # Nesterov's
        packed = [self._parts[id(weight)] for weight in weights]
        pieces = [piece for update, count in zip(ahead, packed) for piece in in_one(update).chunk(count)]
        found = iter(orthogonal(pieces))
        updates = []
        for weight, count in zip(weights, packed):
            mine = [next(found) for _ in range(count)]
            size = self._config.update_size * max(mine[0].shape) ** 0.5
            updates.append(like((mine[0] if count == 1 else torch.cat(mine)) * size, weight))
        moved: list[Tensor] = [*weights]
        if weight_decay:
            torch._foreach_mul_(moved, 1 - rate * weight_decay)
        torch._foreach_add_(moved, updates, alpha=-rate)


def _turns(weights: Sequence[nn.Parameter], every: int) -> dict[int, int]:
    """id of each weight -> at which of so many steps it moves: the largest first, each where least is moved so far. The
    same for any number of processes: a weight counts as large as it is whole."""
    moved, found = [0] * every, {}
    for weight in sorted(weights, key=lambda weight: -weight.numel()):
        turn = moved.index(min(moved))
        moved[turn] += weight.numel()
        found[id(weight)] = turn
    return found


def _chunks(weights: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """The same for any number of processes: a weight counts as large as it is whole."""
    some: list[nn.Parameter] = []
    size = 0
    for weight in weights:
        if some and size + weight.numel() > _MOST_AT_ONCE:
            yield some
            some, size = [], 0
        some.append(weight)
        size += weight.numel()
    if some:
        yield some


def orthogonal(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Returns the orthogonal matrix next to each of these [R, C], with all singular values near 1. Those of one shape,
    or of its transpose, are computed in one batch; in bfloat16 on a GPU, else in float32. A matrix of zeros stays one.

    >>> (found,) = orthogonal([torch.tensor([[3.0, 0.0], [0.0, -2.0]])])
    >>> found.sign().tolist(), bool(((found.diag().abs() - 1).abs() < 0.3).all())
    ([[1.0, 0.0], [0.0, -1.0]], True)
    """
    by_shape: dict[tuple[int, int], list[int]] = {}
    for number, matrix in enumerate(matrices):
        by_shape.setdefault((min(matrix.shape), max(matrix.shape)), []).append(number)
    found: dict[int, Tensor] = {}
    for numbers in by_shape.values():
        flat = [matrices[n] if len(matrices[n]) <= matrices[n].shape[1] else matrices[n].T for n in numbers]
        for number, result in zip(numbers, _newton_schulz(torch.stack(flat))):
            turned = matrices[number].shape != result.shape
            found[number] = (result.T if turned else result).to(matrices[number].dtype)
    return [found[number] for number in range(len(matrices))]


def _newton_schulz(batch: Tensor) -> Tensor:
    """Of x [N, R, C] with R <= C: x -> a x + (b A + c A A) x with A = x x^T, three times.

    Singular values must begin below 1. The Frobenius norm makes sure of that but leaves most of them far below; the
    eighth root of the sum of their eighth powers does too, is at most R^(1/8) times the largest, and is the norm of
    A A, which the first step needs anyway.
    """
    x = batch.to(torch.bfloat16 if batch.is_cuda else torch.float32)
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=_SMALLEST)
    scale = torch.ones_like(x[:, :1, :1])
    for step, (a, b, c) in enumerate(_QUINTICS):
        gram = x @ x.mT
        square = gram @ gram
        if step == 0:
            scale = torch.linalg.vector_norm(square, dim=(1, 2), keepdim=True).clamp(min=_SMALLEST) ** -0.25
            gram, square, x = gram * (b * scale**2), square * (c * scale**4), x * scale
            x = torch.baddbmm(x, gram.add_(square), x, beta=a)
        else:
            x = torch.baddbmm(x, gram.mul_(b).add_(square, alpha=c), x, beta=a)
    return x
