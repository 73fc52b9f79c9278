"""What several families share: their words for activations, their words for BERT's layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from afterbert.base.errors import UserError
from afterbert.interop.weights import Weight, lines
from afterbert.models import Architecture
from afterbert.models.encoder import Encoder
from afterbert.nn.activations import ACTIVATIONS, Activation

_SYNONYMS = {"gelu_pytorch_tanh": "gelu_new", "swish": "silu"}


def activation(config: Mapping[str, Any], key: str, default: str) -> Activation:
    """Our name of an activation. Raises UserError for one we have not."""
    name = config.get(key, default)
    ours = _SYNONYMS.get(name, name)
    if ours not in ACTIVATIONS:
        raise UserError(
            f"config.json has {key} '{name}', which is not known here; known: {', '.join(ACTIVATIONS)}"
        )
    return cast(Activation, ours)


def as_encoder(architecture: Architecture, family: str) -> Encoder:
    """Raises UserError for anything that is no encoder."""
    if not isinstance(architecture, Encoder):
        kind = type(architecture).__module__.rsplit(".", 1)[-1]
        raise UserError(f"Hugging Face's {family} is an encoder; this model is of type {kind}")
    return architecture


def bert_layers(prefix: str, num_hidden_layers: int) -> list[Weight]:
    """The layers of BERT and its descendants."""
    table: list[Weight] = []
    for i in range(num_hidden_layers):
        theirs = f"{prefix}encoder.layer.{i}"
        attention, feed_forward = f"backbone.stack.attention.{i}", f"backbone.stack.feed_forward.{i}"
        packed = tuple(f"{theirs}.attention.self.{part}" for part in ("query", "key", "value"))
        for ours, name in (
            (f"{attention}.inner.qkv", packed),
            (f"{attention}.inner.output", f"{theirs}.attention.output.dense"),
            (f"{attention}.norm", f"{theirs}.attention.output.LayerNorm"),
            (f"{feed_forward}.inner.input", f"{theirs}.intermediate.dense"),
            (f"{feed_forward}.inner.output", f"{theirs}.output.dense"),
            (f"{feed_forward}.norm", f"{theirs}.output.LayerNorm"),
        ):
            table += lines(ours, name, "weight", "bias")
    return table


def bert_embeddings(
    prefix: str, architecture: Encoder, *, rows_before: int, empty_segments: int
) -> list[Weight]:
    """BERT's embeddings; `empty_segments` rows of zeros stand there for a model that knows no segments."""
    table = [
        *lines("backbone.embeddings.token", f"{prefix}embeddings.word_embeddings", "weight"),
        *lines("backbone.embeddings.norm", f"{prefix}embeddings.LayerNorm", "weight", "bias"),
        Weight(
            "backbone.embeddings.position.weight",
            (f"{prefix}embeddings.position_embeddings.weight",),
            rows_before=rows_before,
        ),
    ]
    segments = f"{prefix}embeddings.token_type_embeddings.weight"
    if architecture.embeddings.type_vocab_size:
        return [*table, Weight("backbone.embeddings.segment.weight", (segments,))]
    return [*table, Weight(None, (segments,), shape=(empty_segments, architecture.hidden_size))]
