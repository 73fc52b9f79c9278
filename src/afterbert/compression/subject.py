"""The model that is being made smaller: its architecture, weights and tokenizer, and the task that it answers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.downstream.finetuning.graph_answers import GraphModule
from afterbert.downstream.finetuning.objective import TaskModule
from afterbert.downstream.finetuning.saving import HEADS, Loaded, has_answers, load_finetuned
from afterbert.interop.families import family_for
from afterbert.interop.folder import export_folder
from afterbert.interop.graph_folder import Graph, is_graph, read_graph, write_graph
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import load_model
from afterbert.interop.own import Own, any_family
from afterbert.models import Architecture, Backbone
from afterbert.nn.inputs import Inputs

NO_ROWS = "there are no training rows to learn from; name a folder that has some with --task"
#: What a model consists of: a backbone whose weights can be trained, a graph for ONNX Runtime.
Kind = Literal["weights", "graph"]


@dataclass(frozen=True)
class Form:
    """The facts about a model that are known before any work is done: enough to refuse a method that does not fit."""

    architecture: Architecture
    kind: Kind = "weights"
    task: str | None = None
    """The kind of task whose rows are at hand; None if there are none."""
    num_tasks: int = 1
    """How many tasks it answers."""
    has_training_rows: bool = True
    """Whether some of the rows may be learned from."""
    lost_heads: bool = False
    """Whether some of its attention heads are gone."""
    first: Subject | None = field(default=None, repr=False, compare=False)
    """What it was before all methods, where that is known."""

    def need_weights(self, method: str) -> None:
        """Raises UserError if nothing is left that a method could change or train."""
        if self.kind != "weights":
            raise UserError(f"{method} needs weights, but what stands before it leaves a finished graph; put it first")

    def need_task(self, method: str) -> None:
        """Raises UserError if no task says which parts of the model matter."""
        if self.task is None:
            raise UserError(f"{method} needs the loss of a task; fine-tune the model, and name its rows with --task")
        if not self.has_training_rows:
            raise UserError(f"{method}: {NO_ROWS}")


@dataclass(frozen=True)
class Subject:
    """A model on its way to a smaller one. Methods make a new one and leave this as it is."""

    model: LoadedModel
    """Architecture, weights by part, and a folder that holds the tokenizer."""
    tuned: Loaded | None = None
    """The same with the heads that answer tasks; its module computes. None for a model that was only pre-trained."""
    graph: Graph | None = None
    """The finished graph that it has become; None while it has weights."""

    @property
    def kind(self) -> Kind:
        """What it consists of."""
        return "weights" if self.graph is None else "graph"

    @staticmethod
    def read(name: str | Path) -> Subject:
        """Reads a fine-tuned or pre-trained model. Raises UserError."""
        tuned = load_finetuned(name, device="cpu") if has_answers(Path(name)) else None
        if is_graph(Path(name)):
            model, graph = read_graph(Path(name))
            return Subject(model, tuned, graph)
        if tuned is not None and tuned.lm_head is not None:
            raise UserError(
                f"{name} answers by writing texts; only models that answer with a class, a number, tags or a span can "
                "be made smaller here"
            )
        return Subject(load_model(name) if tuned is None else tuned.model, tuned)

    @property
    def form(self) -> Form:
        """What methods are checked by."""
        tasks = self.tuned.tasks if self.tuned is not None else {}
        kinds = [name_of(task) for task in tasks.values()]
        found = self.model.architecture
        return Form(found, self.kind, kinds[0] if kinds else None, len(kinds), first=self)

    def only(self, task: str | None) -> Subject:
        """Returns this model with only one of its tasks, for there is one head in a graph; None: as it is."""
        return self if task is None or self.tuned is None else replace(self, tuned=self.tuned.only(task))

    @property
    def backbone(self) -> Mapping[str, Tensor]:
        """The tensors of the backbone, by name."""
        return self.model.weights["backbone"]

    def changed(self, architecture: Architecture, backbone: Mapping[str, Tensor], **others: Any) -> Subject:
        """Returns this model with another backbone. others: further fields of its `LoadedModel`."""
        weights = {**self.model.weights, "backbone": dict(backbone)}
        return self.with_model(replace(self.model, architecture=architecture, weights=weights, **others))

    def with_model(self, model: LoadedModel) -> Subject:
        """Puts the same heads on another backbone of the same width."""
        if self.tuned is None:
            return Subject(model)
        module = copy.deepcopy(self.tuned.module)
        assert isinstance(module, TaskModule), "what is loaded is not wrapped"
        module.backbone, module.architecture = model.backbone(), model.architecture
        return Subject(model, replace(self.tuned, model=model, module=module.eval(), figures={}))

    def finished(self, graph: Graph) -> Subject:
        """Returns this model as a finished graph, which has its head in it."""
        model = replace(self.model, weights={}, beside={}, is_graph=True)
        tuned = self.tuned and replace(self.tuned, model=model, module=GraphModule(graph).eval(), figures={})
        return Subject(model, tuned, graph)

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns what the task's head answers to a batch; the hidden states [B, T, D] where there is no task."""
        if self.tuned is not None:
            return self.tuned.module.answer(arrays)
        if self.graph is not None:
            return self.graph.run(arrays)
        return self._built.read(Inputs.of(arrays))

    @cached_property
    def _built(self) -> Backbone:
        return self.model.backbone().eval()

    def num_parameters(self, *, zeros: bool = True) -> int:
        """Returns the number of parameters, the task's head included. zeros: whether those that are 0 count."""
        if self.graph is not None:
            return self.graph.parameters if zeros else self.graph.nonzero
        tensors: list[Tensor] = [tensor for state in self.model.weights.values() for tensor in state.values()]
        if self.tuned is not None:
            heads = [self.tuned.head(name) for name in self.tuned.tasks]
            tensors = [tensor for part in (self.tuned.module.backbone, *heads) for tensor in part.parameters()]
        return sum(tensor.numel() if zeros else int(tensor.count_nonzero()) for tensor in tensors)

    def flops_per_token(self, length: int) -> float:
        """Multiply-adds, times two, of the backbone for each piece of a row of this length."""
        if self.graph is not None and self.graph.flops is not None:
            return self.graph.flops
        size = self.model.architecture.table_size(self.model.tokenizer.vocabulary)
        return self.model.architecture.flops_per_token(size, length)

    def write(self, folder: Path) -> int:
        """Writes the folder that `afterbert` reads, of a family of Hugging Face's where one computes exactly this, else
        in our own layout; returns the bytes of its weights."""
        if self.graph is not None:
            return self._write_graph(folder, self.graph)
        own = self._is_written_out()
        size = 0
        if self.tuned is not None:
            notes = self.tuned.save(folder, own=own)
            if own or notes:  # else the head stands in the model's own file too
                size = (folder / HEADS).stat().st_size
        else:
            backbone = self.model.backbone()
            export_folder(
                folder,
                self.model.architecture,
                backbone,
                self.model.heads_on(backbone),
                vocabulary=self.model.tokenizer.vocabulary,
                tokenizer=self.model.folder,
                family=Own() if own else None,
                or_own=True,
            )
        return size + (folder / "model.safetensors").stat().st_size

    def _write_graph(self, folder: Path, graph: Graph) -> int:
        if self.tuned is None:
            return write_graph(folder, self.model, graph)
        folder.mkdir(parents=True, exist_ok=True)
        self.tuned.write_answers(folder, list(self.tuned.tasks))
        return write_graph(folder, self.model, graph, longest=self.tuned.length)

    def _is_written_out(self) -> bool:
        """Whether Hugging Face's form of it holds shared weights once for each layer, so is larger than it is."""
        model = self.model
        plan = getattr(model.architecture, "plan", None)
        if plan is None or plan.attention == tuple(range(model.architecture.num_hidden_layers)):
            return False
        try:
            vocabulary = model.tokenizer.vocabulary
            family = any_family(model.family) if model.family else family_for(model.architecture, vocabulary)
            return family.model_type != "albert"
        except UserError:
            return True
