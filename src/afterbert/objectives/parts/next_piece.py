"""Left-to-right language models: at each asked place, which piece comes next? For causal and prefix models."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.vocabulary import Vocabulary
from afterbert.objectives.parts.posing import TextStart

if TYPE_CHECKING:
    from afterbert.models import Architecture, Backbone
    from afterbert.objectives.modules import ObjectiveModule


@dataclass(frozen=True)
class NextPieceObjective(TextStart, ABC):
    """The task as the next piece of each piece."""

    in_place = "next"

    def build_on(self, backbone: Backbone, architecture: Architecture, vocabulary: Vocabulary) -> ObjectiveModule:
        from afterbert.objectives.parts.language_model import NextPieceModule

        return NextPieceModule(architecture, backbone, self.sampled_softmax)

    def check(self, architecture: Architecture) -> None:
        if not architecture.obeys_visibility:
            raise UserError(
                f"{name_of(self)} needs one stack that can look left only, not {name_of(architecture)}; set model.type "
                "to decoder"
            )
