"""What a backbone reads, as one bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from afterbert.nn.visibility import PaddedVisibility

_BESIDE = ("token_type_ids", "position_ids", "language_ids")


@dataclass(frozen=True)
class Inputs:
    """Rows of pieces, padded on the right, and what is known about each piece. All ids are int64 [B, T]."""

    input_ids: Tensor
    token_type_ids: Tensor | None = None
    """The segment of each piece; None: all 0."""
    position_ids: Tensor | None = None
    """[B or 1, T]; None: counted from 0."""
    language_ids: Tensor | None = None
    """None: no language is told."""
    visibility: PaddedVisibility | None = None
    """Who sees whom; None: the architecture's own rule, and no padding."""

    @staticmethod
    def of(arrays: Mapping[str, Tensor]) -> Inputs:
        """Returns the inputs among a batch's arrays on the device, whatever else they hold."""
        beside = {name: arrays.get(name) for name in _BESIDE}
        return Inputs(arrays["input_ids"], **beside, visibility=PaddedVisibility.of(arrays))

    @staticmethod
    def languages_at(arrays: Mapping[str, Tensor], places: Tensor) -> Tensor | None:
        """Gives the languages [N] of a batch's pieces at flat places [N]; None if the batch does not say them."""
        told = arrays.get("language_ids")
        return None if told is None else told.flatten()[places]

    @property
    def places(self) -> Tensor:
        """The positions [B or 1, T], counted where they are not given."""
        if self.position_ids is not None:
            return self.position_ids
        return torch.arange(self.input_ids.shape[1], device=self.input_ids.device)[None]

    def beside_ids(self) -> dict[str, Any]:
        """Returns the keyword arguments of a backbone's forward pass that are given, except the ids."""
        named = {name: getattr(self, name) for name in (*_BESIDE, "visibility")}
        return {name: value for name, value in named.items() if value is not None}
