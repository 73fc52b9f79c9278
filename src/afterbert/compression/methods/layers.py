"""Whole layers are left out.

Source: Sajjad et al. (2004.03844), Section 3: top, bottom, alternate and symmetric dropping of a trained model; Fan et
al. (1909.11556), Section 3.2: every other layer of a model that was trained with LayerDrop.
"""

from dataclasses import dataclass, replace
from typing import Literal, cast

from afterbert.base.errors import UserError
from afterbert.base.numbers import Count
from afterbert.compression.methods import EVERYTHING, Method, Setting
from afterbert.compression.parts.shapes import State, unshared_stack
from afterbert.compression.subject import Form, Subject
from afterbert.models.parts.single_stack import SingleStack
from afterbert.models.reshaped_encoder import ReshapedEncoder
from afterbert.nn.residuals.pre_norm import PreNorm


@dataclass(frozen=True)
class Layers(Method):
    """
    >>> Layers(keep=2).kept(6), Layers(keep=2, drop="bottom").kept(6)
    ((0, 1), (4, 5))
    >>> Layers(keep=4, drop="alternate").kept(6), Layers(keep=3, drop="symmetric").kept(6)
    ((0, 1, 2, 4), (0, 1, 5))
    """

    saves = EVERYTHING
    at_zero = ""

    keep: Count | None = None
    """Layers that are left; None: all."""
    drop: Literal["top", "bottom", "alternate", "symmetric"] = "top"
    """Which ones go: those next to the output, those next to the input, every second one from the top down, or those in
    the middle."""

    def kept(self, num_hidden_layers: int) -> tuple[int, ...]:
        """Returns the numbers of the layers that are kept."""
        every = list(range(num_hidden_layers))
        keep = num_hidden_layers if self.keep is None else self.keep
        if self.drop == "top":
            return tuple(every[:keep])
        if self.drop == "bottom":
            return tuple(every[-keep:])
        if self.drop == "symmetric":
            below = -(-keep // 2)
            return tuple(every[:below] + every[num_hidden_layers - (keep - below) :])
        while len(every) > keep:
            second = every[::-1][::2][: len(every) - keep]
            every = [layer for layer in every if layer not in second]
        return tuple(every)

    def check(self, form: Form) -> Form:
        before = unshared_stack(form, "layers")
        if self.keep is not None and self.keep > before.num_hidden_layers:
            raise UserError(f"layers: keep is {self.keep}, but the model has {before.num_hidden_layers} layers")
        return replace(form, architecture=self._architecture(before))

    def _architecture(self, before: SingleStack) -> SingleStack:
        kept = self.kept(before.num_hidden_layers)
        stack = before.stack
        if isinstance(stack.residual, PreNorm) and not stack.residual.has_first_norm and kept[0] != 0:
            # another layer comes first now, and that one has a norm
            stack = replace(stack, residual=replace(stack.residual, has_first_norm=True))
        if stack.windows is not None:
            kinds = stack.layer_types(before.num_hidden_layers)
            stack = replace(stack, windows=replace(stack.windows, layer_types=tuple(kinds[i] for i in kept)))
        if isinstance(before, ReshapedEncoder) and before.layers:
            before = replace(before, layers=tuple(before.layers[layer] for layer in kept), num_hidden_layers=len(kept))
        return replace(before, num_hidden_layers=len(kept), stack=stack)

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        before = cast(SingleStack, subject.model.architecture)
        kept = self.kept(before.num_hidden_layers)
        if len(kept) == before.num_hidden_layers:
            return subject
        state: State = {}
        for name, tensor in subject.backbone.items():
            part = name.split(".")
            if part[0] == "stack" and part[1] in ("attention", "feed_forward"):
                if int(part[2]) not in kept:
                    continue
                part[2] = str(kept.index(int(part[2])))
            state[".".join(part)] = tensor
        return subject.changed(self._architecture(before), state)
