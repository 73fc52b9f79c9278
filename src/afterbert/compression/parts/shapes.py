"""Taking rows, columns and layers out of a backbone's tensors, and the architecture that is left."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import cast

import torch
from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.compression.subject import Form
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.models.parts.single_stack import SingleStack
from afterbert.models.reshaped_encoder import LayerShape, ReshapedEncoder
from afterbert.nn.feed_forwards.gated import Gated

State = dict[str, Tensor]


def unshared_stack(form: Form, method: str) -> SingleStack:
    """Returns the architecture of a one-stack model whose layers do not share weights. Raises UserError for another."""
    form.need_weights(method)
    found = form.architecture
    if not isinstance(found, SingleStack):
        raise UserError(f"{method} does not fit a model of type {name_of(found)}; it takes an encoder or a decoder")
    every = tuple(range(found.num_hidden_layers))
    if found.plan.attention != every or found.plan.feed_forward != every:
        cure = "" if form.first is not None and form.first.model.architecture == found else "; put it first"
        raise UserError(f"{method} does not fit this model, whose layers share their weights{cure}")
    return found


def reshaped(architecture: Architecture, method: str) -> ReshapedEncoder:
    """Rewrites an encoder so that each of its layers may have sizes of its own. Raises UserError for any other kind."""
    if isinstance(architecture, ReshapedEncoder):
        found = architecture
    elif isinstance(architecture, Encoder):
        given = {field.name: getattr(architecture, field.name) for field in fields(architecture)}
        found = ReshapedEncoder(**given)
    else:
        raise UserError(f"{method} does not fit a model of type {name_of(architecture)}; it takes an encoder")
    return found if found.layers else replace(found, layers=(LayerShape(),) * found.num_hidden_layers)


def plainest(architecture: SingleStack) -> SingleStack:
    """Drops the shapes of layers where all are alike; an architecture that then has nothing special is an encoder."""
    if not isinstance(architecture, ReshapedEncoder):
        return architecture
    inner = {shape.intermediate_size for shape in architecture.layers}
    if len(inner) == 1 and None not in inner:
        shapes = tuple(replace(shape, intermediate_size=None) for shape in architecture.layers)
        architecture = replace(architecture, intermediate_size=cast(int, inner.pop()), layers=shapes)
    if set(architecture.layers) <= {LayerShape()}:
        if architecture.table_rank is None:
            names = {field.name for field in fields(Encoder)}
            return Encoder(**{name: getattr(architecture, name) for name in names})
        return replace(architecture, layers=())
    return architecture


def without_heads(state: Mapping[str, Tensor], layer: int, kept: Sequence[int], head_size: int) -> State:
    """Returns a backbone's tensors with only some heads of a layer."""
    part = f"stack.attention.{layer}.inner"
    width = torch.cat([torch.arange(head * head_size, (head + 1) * head_size) for head in kept])
    found = dict(state)
    name = _last(state, f"{part}.qkv")
    whole = len(state[f"{name}.weight"]) // 3
    packed = torch.cat([width + place * whole for place in range(3)])
    found |= _rows(state, name, packed)
    return found | _columns(state, _first(state, f"{part}.output"), width)


def without_neurons(state: Mapping[str, Tensor], layer: int, kept: Tensor, *, is_gated: bool) -> State:
    """Returns a backbone's tensors with only the feed-forward neurons `kept` [N] of a layer."""
    part = f"stack.feed_forward.{layer}.inner"
    name = _last(state, f"{part}.input")
    rows = torch.cat((kept, kept + len(state[f"{name}.weight"]) // 2)) if is_gated else kept
    return dict(state) | _rows(state, name, rows) | _columns(state, _first(state, f"{part}.output"), kept)


def is_gated(architecture: SingleStack) -> bool:
    """Returns whether each neuron has a gate beside it."""
    return isinstance(architecture.stack.feed_forward, Gated)


def _last(state: Mapping[str, Tensor], layer: str) -> str:
    """Of a layer that may be two thin ones: the one that gives its outputs."""
    return layer if f"{layer}.weight" in state else f"{layer}.up"


def _first(state: Mapping[str, Tensor], layer: str) -> str:
    """Of a layer that may be two thin ones: the one that takes its inputs."""
    return layer if f"{layer}.weight" in state else f"{layer}.down"


def _rows(state: Mapping[str, Tensor], layer: str, kept: Tensor) -> State:
    names = (f"{layer}.weight", f"{layer}.bias")
    return {name: state[name][kept].clone() for name in names if name in state}


def _columns(state: Mapping[str, Tensor], layer: str, kept: Tensor) -> State:
    return {f"{layer}.weight": state[f"{layer}.weight"][:, kept].clone()}
