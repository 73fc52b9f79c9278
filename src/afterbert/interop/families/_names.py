"""What several families share: their words for activations, their words for BERT's layers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from afterbert.base import plugins
from afterbert.base.errors import UserError
from afterbert.interop.task_class import NOTHING, TaskClass, TaskKind
from afterbert.models import Architecture
from afterbert.nn.activations import ACTIVATIONS, Activation
from afterbert.nn.heads import LMHead
from afterbert.nn.sharing.none import NoSharing
from afterbert.nn.stack import Stack
from afterbert.nn.task_head import TaskHead

Kind = TypeVar("Kind", bound=Architecture)

_SYNONYMS = {"gelu_pytorch_tanh": "gelu_new", "swish": "silu"}


def activation(config: Mapping[str, Any], key: str, default: str) -> Activation:
    """Returns our name of an activation. Raises UserError for one that we do not have."""
    name = config.get(key, default)
    ours = _SYNONYMS.get(name, name)
    if ours not in ACTIVATIONS:
        raise UserError(f"config.json has {key} '{name}', which is not known here; known: {', '.join(ACTIVATIONS)}")
    return cast(Activation, ours)


def bert_task_class(kind: TaskKind, stem: str, pooler: str) -> TaskClass:
    """Returns the task class of BERT or of a family that followed it: rows are answered from the pooled first piece.
    stem: how the class names begin."""
    rows = TaskHead()
    return {
        "sequence": TaskClass(f"{stem}ForSequenceClassification", rows, "classifier", pooler),
        "choice": TaskClass(f"{stem}ForMultipleChoice", rows, "classifier", pooler),
        "token": TaskClass(f"{stem}ForTokenClassification", NOTHING, "classifier"),
        "span": TaskClass(f"{stem}ForQuestionAnswering", NOTHING, "qa_outputs"),
    }[kind]


def as_kind(kind: type[Kind], architecture: Architecture, family: str) -> Kind:
    """Raises UserError for an architecture of another kind."""
    if not isinstance(architecture, kind):
        ours, theirs = plugins.name_of(architecture), plugins.name_of(kind)
        raise UserError(f"Hugging Face's {family} is of type {theirs}; this model is of type {ours}")
    return architecture


def unshared(stack: Stack) -> Stack:
    """Returns the stack as families without sharing write it: each layer has its own copy of the weights."""
    return replace(stack, sharing=NoSharing())


def untransformed(head: LMHead) -> LMHead:
    """Returns a head without transform in one fixed form: the size of its missing dense layer does not matter."""
    return head if head.has_transform else replace(head, activation="gelu", bias=True)


def normal_pair(ours: Any) -> Any:
    """Returns an encoder-decoder in one fixed form."""
    return with_decoder_layers(ours, ours.decoder_sizes.num_hidden_layers)


def with_decoder_layers(ours: Any, layers: int) -> Any:
    """Returns the encoder-decoder with this number of decoder layers."""
    return replace(ours, num_decoder_layers=None if layers == ours.num_hidden_layers else layers)
