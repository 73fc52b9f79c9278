"""Matrices become the product of two thin ones.

Sources: truncated singular value decomposition; weighted by what a layer reads, so that the error of its outputs is the
least possible on rows of the task: Chen et al., DRONE (NeurIPS 2021), Section 3. A factorized table of pieces has
ALBERT's form, V x E times E x H (1909.11942, Section 3.1); weighted, a piece counts as often as it occurs.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from afterbert.base.errors import UserError
from afterbert.base.numbers import Rate
from afterbert.compression.methods import Method, Saving, Setting, is_piece
from afterbert.compression.parts.shapes import State, reshaped, unshared_stack
from afterbert.compression.subject import Form, Subject
from afterbert.models.reshaped_encoder import LayerShape, ReshapedEncoder
from afterbert.nn.inputs import Inputs

_MATRICES = {
    "qkv_rank": ("attention", "qkv"),
    "mixed_rank": ("attention", "output"),
    "input_rank": ("feed_forward", "input"),
    "output_rank": ("feed_forward", "output"),
}


@dataclass(frozen=True)
class LowRank(Method):
    """Replaces a matrix by two thin ones."""

    at_zero = "keep=1.0"

    keep: Rate = 0.5
    """Share of a matrix's numbers that its two thin ones have together; 1 leaves it as it is."""
    of: Literal["layers", "table"] = "layers"
    """The matrices of all layers, or the table of pieces."""
    weighted: bool = False
    """Whether the error counts where training rows of the task lie, not everywhere alike."""

    @property
    def saves(self) -> frozenset[Saving]:
        kept: frozenset[Saving] = frozenset(("parameters", "nonzero", "bytes"))
        return kept if self.of == "table" else kept | {"flops"}

    def rank(self, rows: int, columns: int) -> int:
        """Returns the width between the two thin matrices; 0 if nothing would be left."""
        return int(self.keep * rows * columns / (rows + columns))

    def check(self, form: Form) -> Form:
        form.need_weights("low_rank")
        if self.weighted:
            form.need_task("low_rank with weighted=true")
        if self.of == "layers":
            before = reshaped(unshared_stack(form, "low_rank"), "low_rank")
            if any(getattr(shape, name) for shape in before.layers for name in _MATRICES):
                raise UserError("low_rank: the matrices are thin already; name it only once")
            after = replace(before, layers=tuple(self._thin(before, layer) for layer in range(len(before.layers))))
            smallest = min(before.hidden_size, before.intermediate_size)
        else:
            before = reshaped(form.architecture, "low_rank")
            if before.embeddings.embedding_size is not None or before.table_rank is not None:
                raise UserError("low_rank: the table of pieces is narrow already; take of=layers")
            smallest = before.hidden_size
            after = replace(before, table_rank=max(1, int(self.keep * smallest)))
        if not self.rank(smallest, smallest):
            raise UserError(f"low_rank: keep {self.keep:g} leaves nothing of a matrix of {smallest}; take more")
        return form if self.keep == 1 else replace(form, architecture=after)

    def _thin(self, architecture: ReshapedEncoder, layer: int) -> LayerShape:
        """The shape of a layer with the ranks of its matrices, at least 1."""
        ranks = {
            name: max(1, self.rank(rows, columns)) for name, (rows, columns) in architecture.matrices(layer).items()
        }
        return replace(architecture.layers[layer], **ranks)

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        if self.keep == 1:
            return subject
        return self._thin_table(subject, setting) if self.of == "table" else self._thin_layers(subject, setting)

    def _thin_table(self, subject: Subject, setting: Setting) -> Subject:
        before = reshaped(subject.model.architecture, "low_rank")
        table = subject.backbone["embeddings.token.weight"].double()
        rank = min(self.rank(*table.shape), table.shape[1])
        counts = _occurrences(subject, setting, len(table)) if self.weighted else torch.ones(len(table))
        scale = counts.double().sqrt()[:, None]
        directions = torch.linalg.svd(table * scale, full_matrices=False).Vh[:rank]
        state = {name: tensor for name, tensor in subject.backbone.items() if name != "embeddings.token.weight"}
        state["embeddings.token.narrow.weight"] = (table @ directions.T).float()
        state["embeddings.token.widen.weight"] = directions.T.float().contiguous()
        after = replace(before, table_rank=rank)
        if set(after.layers) <= {LayerShape()}:
            after = replace(after, layers=())
        return subject.changed(after, state, family="")

    def _thin_layers(self, subject: Subject, setting: Setting) -> Subject:
        before = reshaped(subject.model.architecture, "low_rank")
        backbone = subject.model.backbone() if subject.tuned is None else subject.tuned.module.backbone
        stack = cast(Any, backbone).stack
        seen = _second_moments(subject, setting, stack) if self.weighted else {}
        state: State = dict(subject.backbone)
        shapes = tuple(self._thin(before, layer) for layer in range(len(before.layers)))
        for layer, shape in enumerate(shapes):
            for field, (part, name) in _MATRICES.items():
                path = f"stack.{part}.{layer}.inner.{name}"
                matrix = state.pop(f"{path}.weight").double()
                rank: int = getattr(shape, field)
                weighed = matrix @ _root(seen[path]) if self.weighted else matrix
                left, values, _ = torch.linalg.svd(weighed, full_matrices=False)
                balance = values[:rank].sqrt().clamp_min(1e-12)
                state[f"{path}.up.weight"] = (left[:, :rank] * balance).float()
                state[f"{path}.down.weight"] = ((left[:, :rank] / balance).T @ matrix).float()
                if f"{path}.bias" in state:
                    state[f"{path}.up.bias"] = state.pop(f"{path}.bias")
        return subject.changed(replace(before, layers=shapes), state, family="")

    def control(self) -> LowRank | None:
        return replace(self, weighted=False) if self.weighted else None


def _root(moments: Tensor) -> Tensor:
    """The symmetric square root of a positive matrix."""
    values, vectors = torch.linalg.eigh(moments)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def _occurrences(subject: Subject, setting: Setting, size: int) -> Tensor:
    """How often each piece [V] occurs, and one more, so that no piece counts for nothing."""
    found = torch.ones(size)
    for arrays in setting.batches(subject):
        found += torch.bincount(arrays["input_ids"][is_piece(arrays)], minlength=size).cpu()
    return found


def _second_moments(subject: Subject, setting: Setting, stack: Any) -> dict[str, Tensor]:
    """The sums of x x^T [in, in] over all pieces x that each matrix reads, by its path."""
    found: dict[str, Tensor] = {}
    pieces = torch.zeros(0)

    def listen(path: str) -> Any:
        def keep(_: nn.Module, given: tuple[Any, ...]) -> None:
            rows = given[0].detach()[pieces].double()
            found[path] = found.get(path, 0) + (rows.T @ rows).cpu()

        return keep

    assert subject.tuned is not None
    with ExitStack() as hooks, torch.no_grad():
        for layer in range(len(stack.attention)):
            for part, name in _MATRICES.values():
                inner = getattr(stack, part)[layer].inner
                # the whole attention reads what its packed layer reads
                at = inner if name == "qkv" else getattr(inner, name)
                hooks.enter_context(at.register_forward_pre_hook(listen(f"stack.{part}.{layer}.inner.{name}")))
        for arrays in setting.batches(subject):
            pieces = is_piece(arrays)  # the hooks read it
            subject.tuned.module.backbone.read(Inputs.of(arrays))
    return found
