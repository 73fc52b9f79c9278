"""What several families share: their words for activations, their words for BERT's layers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from afterbert.base.errors import UserError
from afterbert.interop.task_class import NOTHING, TaskClass, TaskKind
from afterbert.nn.activations import ACTIVATIONS, Activation
from afterbert.nn.sharing.none import NoSharing
from afterbert.nn.stack import Stack
from afterbert.nn.task_head import TaskHead

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


def unshared(stack: Stack) -> Stack:
    """Returns the stack as families without sharing write it: each layer has its own copy of the weights."""
    return replace(stack, sharing=NoSharing())


def with_decoder_layers(ours: Any, layers: int) -> Any:
    """Returns the encoder-decoder with this number of decoder layers."""
    return replace(ours, num_decoder_layers=None if layers == ours.num_hidden_layers else layers)
