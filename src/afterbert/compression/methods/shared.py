"""Layers become one layer that is applied again and again: the mean of their weights.

Source: the form is ALBERT's (1909.11942, Section 3.1), which trains it from the start; averaging a trained model's
layers is only a place to go on training from, and says so by its quality. A BERT becomes an ALBERT that Hugging Face
computes: its table is as wide as the layers, and the widening between them changes nothing.
"""

from dataclasses import dataclass, replace
from typing import cast

import torch

from afterbert.base.errors import UserError
from afterbert.base.numbers import CountFromZero
from afterbert.compression.methods import Method, Setting
from afterbert.compression.parts.shapes import State, unshared_stack
from afterbert.compression.subject import Form, Subject
from afterbert.interop.families.albert import Albert
from afterbert.models.parts.single_stack import SingleStack
from afterbert.models.reshaped_encoder import ReshapedEncoder
from afterbert.nn.residuals.pre_norm import PreNorm
from afterbert.nn.sharing.groups import ShareGroups


@dataclass(frozen=True)
class Shared(Method):
    """Replaces layers by their mean, applied again and again."""

    saves = frozenset(("parameters", "nonzero", "bytes"))
    at_zero = "groups=0"

    groups: CountFromZero = 1
    """How many different layers are left; 0: all."""

    def check(self, form: Form) -> Form:
        before = unshared_stack(form, "shared")
        if isinstance(before, ReshapedEncoder):
            raise UserError("shared does not fit layers of different shapes; put it first")
        if isinstance(before.stack.residual, PreNorm) and not before.stack.residual.has_first_norm:
            raise UserError("shared does not fit this model, whose first layer has one norm fewer than the others")
        if self.groups and before.num_hidden_layers % self.groups:
            raise UserError(
                f"shared: {before.num_hidden_layers} layers do not divide into {self.groups} groups; take a divisor"
            )
        return replace(form, architecture=self._architecture(before))

    def _architecture(self, before: SingleStack) -> SingleStack:
        sharing = ShareGroups(layers_per_group=before.num_hidden_layers // (self.groups or before.num_hidden_layers))
        return replace(before, stack=replace(before.stack, sharing=sharing))

    def __call__(self, subject: Subject, setting: Setting) -> Subject:
        before = cast(SingleStack, subject.model.architecture)
        size = before.num_hidden_layers // (self.groups or before.num_hidden_layers)
        if size == 1:
            return subject
        parts: dict[str, list[torch.Tensor]] = {}
        for name, tensor in subject.backbone.items():
            path = name.split(".")
            if path[0] == "stack" and path[1] in ("attention", "feed_forward"):
                path[2] = str(int(path[2]) // size)
            parts.setdefault(".".join(path), []).append(tensor)
        state: State = {name: torch.stack(found).mean(0) for name, found in parts.items()}
        return _as_albert(subject.changed(self._architecture(before), state, family=""))


def _as_albert(subject: Subject) -> Subject:
    """The same model in ALBERT's form where that family computes it, else as it is."""
    before = cast(SingleStack, subject.model.architecture)
    embeddings = before.embeddings
    if embeddings.embedding_size is None and embeddings.has_norm:
        width = before.hidden_size
        wide = replace(before, embeddings=replace(embeddings, embedding_size=width))
        try:
            Albert().express(wide, subject.model.tokenizer.vocabulary)
        except UserError:
            return subject
        identity = {"embeddings.widen.weight": torch.eye(width), "embeddings.widen.bias": torch.zeros(width)}
        return subject.changed(wide, {**subject.backbone, **identity}, family="albert")
    return subject
