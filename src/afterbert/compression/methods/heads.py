"""Attention heads that matter least to the task are removed, weights and all.

Source: Michel et al. (1905.10650), Sections 3.2 and 4.1: importance by the gradient of a gate, normalised within each
layer. One head of each layer always stays, so that its attention still mixes something.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.compression.methods import EVERYTHING, Method, Setting
from afterbert.compression.parts.importance import scores_by_chance, scores_of
from afterbert.compression.parts.shapes import reshaped, unshared_stack, without_heads
from afterbert.compression.subject import Form, Subject


@dataclass(frozen=True)
class Heads(Method):
    saves = EVERYTHING
    at_zero = "share=0.0"

    share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Of all heads of the model, how many go."""
    by: Literal["importance", "chance"] = "importance"
    """How they are chosen; by chance is the control."""

    def check(self, form: Form) -> Form:
        before = unshared_stack(form, "heads")
        if self.by == "importance" and self.share:
            form.need_task("heads")
        after = reshaped(before, "heads")
        total = sum(after.shape(layer).num_attention_heads or 0 for layer in range(after.num_hidden_layers))
        if round(self.share * total) > total - after.num_hidden_layers:
            raise UserError(
                f"heads: a share of {self.share:g} is {round(self.share * total)} of {total} heads, which leaves a "
                "layer without any; take less"
            )
        # refuses positions that heads share
        replace(after, layers=tuple(replace(shape, num_attention_heads=1) for shape in after.layers))
        return replace(form, architecture=after)

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        architecture = reshaped(subject.model.architecture, "heads")
        layers = range(architecture.num_hidden_layers)
        counts = [architecture.shape(layer).num_attention_heads or 0 for layer in layers]
        num_removed = round(self.share * sum(counts))
        if not num_removed:
            return subject
        scores = self._scores(subject, setting, counts, architecture.head_size)
        kept = _kept(scores, num_removed)
        state = dict(subject.backbone)
        for layer in layers:
            if len(kept[layer]) < counts[layer]:
                state = without_heads(state, layer, kept[layer], architecture.head_size)
        shapes = tuple(
            replace(shape, num_attention_heads=len(kept[layer])) for layer, shape in enumerate(architecture.layers)
        )
        return subject.changed(replace(architecture, layers=shapes), state, family="")

    def _scores(self, subject: Subject, setting: Setting, counts: list[int], head_size: int) -> list[Tensor]:
        """The importance [H] of the heads of each layer."""
        if self.by == "chance":
            return scores_by_chance(setting, "heads", counts)
        found = scores_of(subject, setting, "attention", width=head_size)
        return [scores / scores.norm().clamp_min(1e-12) for scores in found]

    def control(self) -> Heads | None:
        return None if self.by == "chance" else replace(self, by="chance")


def _kept(scores: list[Tensor], num_removed: int) -> list[list[int]]:
    """The heads of each layer that stay when the lowest of all go, the best of each layer aside.

    >>> _kept([Tensor([0.1, 0.2]), Tensor([0.3, 0.9, 0.4])], 2)
    [[1], [1, 2]]
    """
    safe = {(layer, int(one.argmax())) for layer, one in enumerate(scores)}
    order = sorted(
        (float(value), layer, head)
        for layer, one in enumerate(scores)
        for head, value in enumerate(one)
        if (layer, head) not in safe
    )
    gone = {(layer, head) for _, layer, head in order[:num_removed]}
    return [[head for head in range(len(one)) if (layer, head) not in gone] for layer, one in enumerate(scores)]
