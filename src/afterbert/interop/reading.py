"""Any backbone called the way Hugging Face's models are: ids and an attention mask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from afterbert.models import Backbone
from afterbert.nn.inputs import Inputs
from afterbert.nn.past import Past
from afterbert.nn.visibility import PaddedVisibility


def hidden_states(
    backbone: Backbone,
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    *,
    decoder_input_ids: Tensor | None = None,
    token_type_ids: Tensor | None = None,
    language_ids: Tensor | None = None,
) -> Tensor:
    """Hidden states [B, T, D], of a decoder beside an encoder [B, U, D]; attention_mask [B, T] is 1 for
    pieces; padding stands on the right, or, of a decoder, anywhere."""
    visibility = None if attention_mask is None else PaddedVisibility.from_attention_mask(attention_mask)
    inputs = Inputs(input_ids, token_type_ids, None, language_ids, visibility)
    if getattr(backbone, "reads_left_to_right", False):
        inputs = replace(inputs, visibility=None)  # nobody looks right, where the padding is
        if attention_mask is not None and not bool(attention_mask[:, 0].all()):
            return backbone(input_ids, **inputs.beside_ids(), **_padded_in_front(attention_mask))
    return backbone.states(inputs, decoder_input_ids=decoder_input_ids)


def _padded_in_front(attention_mask: Tensor) -> dict[str, Any]:
    """Positions that count pieces only, and a rule by which nobody sees padding."""
    position_ids = (attention_mask.cumsum(1) - 1).clamp(min=0)
    past = Past()
    past.begin(position_ids, attention_mask.bool())
    return {"position_ids": position_ids, "past": past}
