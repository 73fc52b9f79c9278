"""A backbone of any kind, read as states of a row."""

from collections.abc import Mapping

import torch
from torch import Tensor

from afterbert.downstream.posing.writing import writing_states
from afterbert.models import Backbone, Summary
from afterbert.nn.inputs import Inputs


def states(backbone: Backbone, arrays: Mapping[str, Tensor], *, wanted: Tensor | None = None) -> Tensor:
    """Returns hidden states [B, T, D] of a batch. An encoder-decoder reads the same text on both sides, and the
    decoder's states count (BART, Section 3.3); where a text is to be written, they are the decoder's states [B, U, D]
    of it. wanted: flat places [N], when only their states [N, D] are to be computed."""
    if "decoder_input_ids" in arrays:
        return writing_states(backbone, arrays)
    return backbone.states(Inputs.of(arrays), wanted=wanted)


def summary_places(arrays: Mapping[str, Tensor], summary: Summary) -> Tensor | None:
    """Returns the flat places [B] of the pieces that speak for their rows; None if all pieces do."""
    if summary == "mean":
        return None
    ids = arrays["input_ids"]
    starts = torch.arange(len(ids), device=ids.device) * ids.shape[1]
    return starts if summary == "first" else starts + arrays["last"]


def summarized(hidden: Tensor, arrays: Mapping[str, Tensor], summary: Summary) -> Tensor:
    """Takes one vector a row [B, D] from hidden states: those at `summary_places` [B, D], for "mean" all [B, T, D]."""
    if summary != "mean":
        return hidden
    last = arrays["last"]
    is_piece = torch.arange(hidden.shape[1], device=last.device) <= last[:, None]
    return (hidden * is_piece[..., None]).sum(1) / is_piece.sum(1, keepdim=True)
