"""A backbone of any kind, read as states of a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from afterbert.downstream.posing.writing import writing_states
from afterbert.models import Architecture
from afterbert.models.decoder import Decoder
from afterbert.models.encoder_decoder import EncoderDecoder
from afterbert.models.permutation import Permutation
from afterbert.nn.places import at_places
from afterbert.nn.visibility import PaddedVisibility

#: Which piece of a row speaks for it.
Summary = Literal["first", "last", "mean"]


def summary_of(architecture: Architecture) -> Summary:
    """The piece that has seen the whole row: the first where all see all, else the last (GPT, BART,
    XLNet)."""
    return "last" if isinstance(architecture, (Decoder, EncoderDecoder, Permutation)) else "first"


def states(
    backbone: nn.Module,
    architecture: Architecture,
    arrays: Mapping[str, Tensor],
    *,
    wanted: Tensor | None = None,
) -> Tensor:
    """Hidden states [B, T, D] of a batch. An encoder-decoder reads the same text on both sides, and the
    decoder's states count (BART, Section 3.3); where a text is to be written, they are the states [B, U, D] of
    that. wanted: flat places [N], where no more than their states [N, D] is to be computed."""
    if "decoder_input_ids" in arrays:
        return writing_states(backbone, arrays)
    inputs = {"token_type_ids": arrays.get("token_type_ids"), "visibility": PaddedVisibility.of(arrays)}
    ids = arrays["input_ids"]
    if isinstance(architecture, EncoderDecoder):
        return at_places(backbone(ids, ids, **inputs), wanted)
    if isinstance(architecture, Permutation):
        return at_places(backbone(ids, **inputs).content, wanted)
    if isinstance(architecture, Decoder):
        return backbone(ids, token_type_ids=inputs["token_type_ids"], wanted=wanted)
    return backbone(ids, **inputs, wanted=wanted)


def summary_places(arrays: Mapping[str, Tensor], summary: Summary) -> Tensor | None:
    """The flat places [B] of the pieces that speak for their rows; None where all do."""
    if summary == "mean":
        return None
    ids = arrays["input_ids"]
    starts = torch.arange(len(ids), device=ids.device) * ids.shape[1]
    return starts if summary == "first" else starts + arrays["last"]


def summarized(hidden: Tensor, arrays: Mapping[str, Tensor], summary: Summary) -> Tensor:
    """One vector a row [B, D] from hidden states: those at `summary_places` [B, D], for "mean" all [B, T, D]."""
    if summary != "mean":
        return hidden
    last = arrays["last"]
    is_piece = torch.arange(hidden.shape[1], device=last.device) <= last[:, None]
    return (hidden * is_piece[..., None]).sum(1) / is_piece.sum(1, keepdim=True)
