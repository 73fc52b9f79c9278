"""Any backbone called the way Hugging Face's models are: ids and an attention mask.

Backbones know rows by their lengths and count places from the first column. So the pieces of each row are moved
together in front of its padding, and the states are moved back to where the caller has the pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from afterbert.models import Backbone
from afterbert.nn.inputs import Inputs
from afterbert.nn.visibility import PaddedVisibility


@dataclass(frozen=True)
class Packing:
    """Moves the pieces of each row in front of its padding, in their order, and moves states back.

    places: int64 [B, T], the column to which each place of the caller's rows goes; None: nothing is padding.
    """

    places: Tensor | None = None
    visibility: PaddedVisibility | None = None

    @staticmethod
    def of(attention_mask: Tensor | None) -> Packing:
        """Reads a mask [B, T] that is 1 for pieces and 0 for padding, which may stand anywhere."""
        if attention_mask is None:
            return Packing()
        piece = attention_mask.ne(0).long()
        padding = piece.sum(1, keepdim=True) + (1 - piece).cumsum(1)
        places = torch.where(piece == 1, piece.cumsum(1), padding) - 1
        return Packing(places, PaddedVisibility.from_attention_mask(piece))

    def packed(self, rows: Tensor) -> Tensor:
        """Moves ids [B, T] or states [B, T, D] of the caller together."""
        if self.places is None:
            return rows
        places = self.places if rows.dim() == 2 else self.places[..., None].expand_as(rows)
        return torch.zeros_like(rows).scatter(1, places, rows)

    def unpacked(self, states: Tensor) -> Tensor:
        """Moves states [B, T, D] back to the caller's places."""
        return states if self.places is None else states.gather(1, self.places[..., None].expand_as(states))

    def inputs(self, input_ids: Tensor, **beside: Tensor | None) -> Inputs:
        """Bundles the caller's ids, each [B, T], for a backbone. beside: `token_type_ids`, `language_ids`."""
        given: dict[str, Any] = {name: self.packed(ids) for name, ids in beside.items() if ids is not None}
        return Inputs(self.packed(input_ids), visibility=self.visibility, **given)


def hidden_states(
    backbone: Backbone,
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    *,
    decoder_input_ids: Tensor | None = None,
    decoder_attention_mask: Tensor | None = None,
    token_type_ids: Tensor | None = None,
    language_ids: Tensor | None = None,
) -> Tensor:
    """Returns hidden states [B, T, D], of a decoder beside an encoder [B, U, D], at the caller's places.

    The masks [B, T] and [B, U] are 1 for pieces and 0 for padding, which may stand on either side: positions are
    counted from the first piece of a row.
    """
    read = Packing.of(attention_mask)
    inputs = read.inputs(input_ids, token_type_ids=token_type_ids, language_ids=language_ids)
    if decoder_input_ids is None:
        return read.unpacked(backbone.states(inputs))
    written = Packing.of(decoder_attention_mask)
    packed = written.packed(decoder_input_ids)
    return written.unpacked(backbone.states(inputs, decoder_input_ids=packed))
