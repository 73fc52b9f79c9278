"""What heads have in common that are made of the layers which the model's family has for their kind of task."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from afterbert.downstream.heads import Footing, Head, HeadModule
from afterbert.downstream.posing.backbone import summarized, summary_places
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Summary
from afterbert.nn.task_head import TaskHead


@dataclass(frozen=True)
class LayeredHead(Head):
    """A head built so that its model can be saved as the Hugging Face family's class for the task."""

    layer_kind: ClassVar[Literal["sequence", "token", "span"]] = "sequence"

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Before the last layer."""
    layers: TaskHead | None = None
    """None: those of the model's family."""

    def layers_on(self, model: LoadedModel) -> TaskHead:
        """Returns the layers asked for, or the model's usual ones."""
        return self.layers or model.task_head(self.layer_kind)

    def settled(self, model: LoadedModel, name: str) -> Self:
        return replace(self, layers=self.layers_on(model))


class LayersModule(HeadModule):
    """From the rows' summaries [B, D], or `by_piece` from every piece [B, T, D], to `num_outputs` numbers each."""

    class_weights: Tensor | None
    summary: Summary

    def __init__(self, head: LayeredHead, on: Footing, num_outputs: int, *, by_piece: bool = False):
        super().__init__()
        self.summary, self.by_piece = on.summary, by_piece
        architecture = on.model.architecture
        self.layers = head.layers_on(on.model).build(architecture.hidden_size, num_outputs, rate=head.dropout)
        architecture.initialization.apply(self, architecture.num_hidden_layers)
        # a pooler was taught by the first piece, a language-model head by every one
        if by_piece or on.summary == "first" or self.layers.config.starts_from == "lm_head":
            self.layers.start(on.model.weights)
        keep_class_weights(self, on)

    def wanted(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        return None if self.by_piece else summary_places(arrays, self.summary)

    def output(self, hidden: Tensor, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.layers(hidden if self.by_piece else summarized(hidden, arrays, self.summary))


def keep_class_weights(module: HeadModule, on: Footing) -> None:
    """Hands the weights of the classes over as `module.class_weights`, which moves with the module and is not saved."""
    weights = None if on.class_weights is None else torch.as_tensor(on.class_weights, dtype=torch.float32)
    module.register_buffer("class_weights", weights, persistent=False)
