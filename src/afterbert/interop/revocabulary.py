"""A model folder under another vocabulary: every tensor with a row for each piece is made anew from the old
rows; the body stays as it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.reading import hidden_states
from afterbert.text.pieces.vocabulary_change import Change, mean_rows

#: Tensors with a row for each piece.
_ROWS = ("embeddings.token.weight", "embeddings.token.narrow.weight", "bias", "decoder.weight")
_LANGUAGES = "embeddings.language.weight"
_PARTS = ("backbone", "lm_head")


def with_vocabulary(imported: LoadedModel, change: Change) -> LoadedModel:
    """Returns the model with a table for the new tokenizer. Table rows beyond the old tokenizer's pieces are left out.
    Raises UserError if the old tokenizer has more pieces than the model's table has rows."""
    table = imported.architecture.table_size(imported.tokenizer.vocabulary)
    highest = max(max(parents) for parents in change.parents)
    if highest >= table:
        raise UserError(
            f"the tokenizer names piece {highest}, but the model's table has {table} rows; they do not belong "
            "together, so name the folder of the model's own tokenizer"
        )
    architecture = replace(cast(Any, imported.architecture), vocab_size=len(change.parents))

    def mean(name: str, tensor: Tensor) -> Tensor:
        return torch.from_numpy(mean_rows(tensor.numpy(), change.parents)) if name in _ROWS else tensor

    return replace(_with_tensors(imported, mean), architecture=architecture, given=change.tokenizer)


def with_sums(model: LoadedModel, rows: np.ndarray, sums: sparse.csr_matrix) -> LoadedModel:
    """Returns the model with new vectors for the pieces `rows` [N]: sums [N, V] of all pieces' vectors. The head's
    bias, which says how frequent a piece is, stays."""

    def summed(name: str, tensor: Tensor) -> Tensor:
        if name not in _ROWS or tensor.ndim < 2:
            return tensor
        changed = tensor.clone()
        changed[torch.from_numpy(rows)] = torch.from_numpy(sums @ tensor.double().numpy()).to(tensor.dtype)
        return changed

    return _with_tensors(model, summed)


def with_language(model: LoadedModel, language: str) -> LoadedModel:
    """Returns the model with a vector for one more language, the mean of the others, when it has such vectors. Raises
    UserError when languages have layers or tables of their own."""
    architecture = cast(Any, model.architecture)
    if architecture.is_routed:
        raise UserError(
            f"{model.name} has layers or tables of pieces for each of its languages ({', '.join(model.languages)}), "
            "to which none can be added; take a model whose parts all languages share"
        )
    if not model.languages or language in model.languages:
        return model
    embeddings = replace(architecture.embeddings, languages=(*model.languages, language))
    grown = _with_tensors(
        model, lambda name, one: torch.cat([one, one.mean(0, keepdim=True)]) if name == _LANGUAGES else one
    )
    return replace(grown, architecture=replace(architecture, embeddings=embeddings))


def _with_tensors(model: LoadedModel, changed: Callable[[str, Tensor], Tensor]) -> LoadedModel:
    weights = {
        part: {name: changed(name, tensor) for name, tensor in state.items()} if part in _PARTS else state
        for part, state in model.weights.items()
    }
    return replace(model, weights=weights)


@dataclass(frozen=True)
class Agreement:
    """The largest difference between a trimmed model's numbers and the old one's on texts it kept, and the number of
    pieces compared."""

    largest_difference: float
    num_pieces: int


@torch.no_grad()
def agreement(old: LoadedModel, new: LoadedModel, change: Change, rows: Sequence[Sequence[int]]) -> Agreement:
    """Compares hidden states, and logits of the kept pieces, on rows of new piece ids."""
    to_old = torch.tensor([parents[0] for parents in change.parents])
    (old_body, old_head), (new_body, new_head) = old.build(), new.build()
    for part in (old_body, old_head, new_body, new_head):
        part.eval()
    largest, num_pieces = 0.0, 0
    for row in rows:
        ids = torch.tensor([list(row)[: new.architecture.max_position_embeddings]])
        before, after = hidden_states(old_body, to_old[ids]), hidden_states(new_body, ids)
        apart = (before - after).abs().max()
        if new.has_lm_head:  # a fresh head is drawn anew for each of the two
            apart = max(apart, (old_head(before)[..., to_old] - new_head(after)).abs().max())
        largest, num_pieces = max(largest, float(apart)), num_pieces + ids.numel()
    return Agreement(largest, num_pieces)
