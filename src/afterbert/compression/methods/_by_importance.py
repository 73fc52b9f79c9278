"""What removing heads and removing neurons have in common: the least important go, or as many by chance."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, replace
from typing import Literal

from afterbert.base.numbers import ShareBelowOne
from afterbert.base.plugins import name_of
from afterbert.compression.methods import EVERYTHING, Method
from afterbert.compression.parts.shapes import reshaped, unshared_stack
from afterbert.compression.subject import Form
from afterbert.models.reshaped_encoder import ReshapedEncoder


@dataclass(frozen=True)
class ByImportance(Method, ABC):
    """The methods that remove parts of each layer, the least important first."""

    saves = EVERYTHING
    at_zero = "share=0.0"

    share: ShareBelowOne = 0.25
    """How many of all go."""
    by: Literal["importance", "chance"] = "importance"
    """How they are chosen; by chance is the control."""

    def reshaped(self, form: Form) -> ReshapedEncoder:
        """Returns the architecture with sizes for each layer. Raises UserError if the method does not fit the model."""
        before = unshared_stack(form, name_of(self))
        if self.by == "importance" and self.share:
            form.need_task(name_of(self))
        return reshaped(before, name_of(self))

    def control(self) -> ByImportance | None:
        return None if self.by == "chance" else replace(self, by="chance")
