"""Left-to-right language models: at each asked place, which piece comes next? For causal and prefix models."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives import Batch
from afterbert.objectives.parts.arrays import asked_arrays, input_arrays, width_of
from afterbert.objectives.parts.posing import TextStart
from afterbert.pretext.posed import Posed

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.objectives.modules import ObjectiveModule


@dataclass(frozen=True)
class NextPieceObjective(TextStart, ABC):
    """The task as the next piece of each piece."""

    def batch(self, posed: Posed, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        width = width_of(posed.shown, length)
        asked, counts = asked_arrays(posed, width=width, in_place="next")
        arrays = input_arrays(posed, vocabulary, width=width) | asked
        return Batch(arrays, counts, posed.shown.num_pieces, posed.shown.keys)

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        from afterbert.objectives.parts.language_model import NextPieceModule

        return NextPieceModule(architecture, backbone)

    def check(self, architecture: Architecture) -> None:
        if not architecture.obeys_visibility:
            raise UserError(
                f"{name_of(self)} needs one stack that can look left only, not {name_of(architecture)}; set model.type "
                "to decoder"
            )
