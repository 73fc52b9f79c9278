"""Fine-tuning as an objective: labelled tasks, one or many, on a model that is there, with a head for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.vocabulary import Vocabulary
from afterbert.downstream.finetuning.batches import TaskBatches, TaskPlan
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.finetuning.unlabelled import Unlabelled
from afterbert.downstream.heads import Footing, Head, HeadModule, Outputs, head_for
from afterbert.downstream.posing.backbone import states
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.posing.prepared import Prepared, in_batches
from afterbert.downstream.prediction import Prediction
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.task_name import head_key, module_key
from afterbert.downstream.tasks import labels_of
from afterbert.interop.loaded import LoadedModel
from afterbert.models import Architecture, Summary
from afterbert.nn.routing import own_to_languages
from afterbert.objectives import Batch, Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.pretext.pairings import Plan
from afterbert.text.token_store.store import Split
from afterbert.training.devices import device_of
from afterbert.training.step import to_tensors


@dataclass(frozen=True)
class TaskObjective(Objective):
    """Each step asks rows of one task. It brings its rows, its model and its vocabulary, so it looks at no split, and
    what it builds goes on from the model's weights. An objective around it distils or prunes while it is learned."""

    model: LoadedModel
    tasks: tuple[TaskData, ...]
    settings: FineTuning
    heads: Mapping[str, Head]
    """Task -> its head, with nothing left open."""
    prepared: Mapping[str, Mapping[str, Prepared]]
    """Task -> split -> its rows."""
    texts: tuple[Unlabelled, ...] = ()
    """Running text among the tasks."""

    @staticmethod
    def of(
        model: LoadedModel, tasks: Sequence[TaskData], settings: FineTuning, *, texts: Sequence[Unlabelled] = ()
    ) -> TaskObjective:
        """Reads everything into rows. Raises UserError where model, task and head do not go together."""
        names = [*(task.name for task in tasks), *(text.name for text in texts)]
        if len(set(names)) < len(names):
            raise UserError(f"two tasks are called the same ({', '.join(names)}); name them as name:PATH")
        formatter = Formatter(model.tokenizer, min(settings.length, model.longest))
        for data in tasks:
            if "train" not in data.splits:
                raise UserError(f"{data.name}: has no training rows; name a file or folder with some")
        tasks = [data.with_dev(seed=settings.seed) for data in tasks]
        heads = {
            data.name: head_for(data.task, _asked_head(settings, data)).settled(model, data.name) for data in tasks
        }
        if settings.frozen and any(head.writes for head in heads.values()):
            raise UserError("head text has nothing of its own to learn on a frozen backbone; leave frozen out")
        prepared = {
            data.name: {
                split: told_language(
                    heads[data.name].prepare(data.task, data.asked(split), formatter), model, data.language_of(split)
                )
                for split in data.splits
                if data.readable(split)
            }
            for data in tasks
        }
        for name, splits in prepared.items():
            if "train" not in splits or not splits["train"].asked.any():
                raise UserError(f"{name}: no training row has a text and a label that can be learned")
        return TaskObjective(model, tuple(tasks), settings, heads, prepared, tuple(texts))

    def plain(self) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "weights": self.model.digests,
            "finetuning": to_plain(
                replace(self.settings, num_seeds=1, seed=0, summary=self.summary, head_start=self.head_start)
            ),
            "tasks": {data.name: to_plain(data.task) for data in self.tasks},
            "texts": {text.name: [text.split.fingerprint, text.length, text.objective.plain()] for text in self.texts},
        }

    @property
    def summary(self) -> Summary:
        """What speaks for a row."""
        return self.settings.summary or self.model.architecture.task_summary

    @property
    def head_start(self) -> Literal["drawn", "probed"]:
        """How the last layer of a head starts."""
        return self.settings.head_start or ("probed" if self.summary == "mean" else "drawn")

    @cached_property
    def batches(self) -> TaskBatches:
        """The updates, epoch by epoch."""
        settings, budget = self.settings, self.settings.budget
        labelled = {name: splits["train"] for name, splits in self.prepared.items()}
        made = TaskBatches(
            labelled | {text.name: text for text in self.texts},
            batch_size=settings.batch_size,
            mixing=settings.mixing,
            epochs=budget.amount if budget.unit == "epochs" else 1.0,
            virtual_sizes=settings.virtual_sizes,
        )
        if budget.unit != "steps":
            return made
        return replace(made, epochs=budget.amount / sum(made.sizes.values()))

    def plan(self, split: Split, *, length: int, vocabulary: Vocabulary, noise: Noise) -> Plan:
        return self.batches.plan(noise)

    def pose(self, plan: Plan, numbers: np.ndarray, noise: Noise, *, vocabulary: Vocabulary, length: int) -> Batch:
        """Returns rows [B] of one task, which one update of the plan holds together, as a batch."""
        assert isinstance(plan, TaskPlan)
        name, units = plan.units(numbers)
        source = plan.prepared[name]
        if isinstance(source, Unlabelled):
            return source.batch(units, noise)
        return source.batch(units, pad=self.pad, has_segments=self.model.architecture.has_segments, name=name)

    def build(self, architecture: Architecture, vocabulary: Vocabulary) -> TaskModule:
        assert architecture == self.model.architecture, "heads were settled on this model"
        heads = {
            data.name: self.heads[data.name].build(
                data.task, Footing(self.model, self.summary, _class_weights(self.settings, data))
            )
            for data in self.tasks
        }
        for name, head in heads.items():
            # Learned before, in an earlier stage of training.
            if head_key(name) in self.model.weights:
                head.load_state_dict(self.model.weights[head_key(name)])
        return TaskModule(self.model, heads, texts=self.texts, frozen=self.settings.frozen)

    @property
    def pad(self) -> int:
        """The piece that fills rows up."""
        return self.model.tokenizer.vocabulary.pad or 0

    def predict(self, module: ObjectiveModule, name: str, split: str) -> list[Any]:
        """Returns the values of what `answered` gives."""
        return [one.value for one in self.answered(module, name, split)]

    def answered(self, module: ObjectiveModule, name: str, split: str) -> list[Prediction]:
        """Returns one prediction for each readable row of a split. The module, which may be one around that of `build`,
        is in evaluation mode."""
        return self.heads[name].answered(self.prepared[name][split], self.outputs(module, name, split))

    def outputs(self, module: ObjectiveModule, name: str, split: str) -> Outputs:
        """Returns the head's output for each row of a split."""
        return outputs(module, self.model, self.heads[name], self.prepared[name][split], name=name)

    def calibrated(self, module: ObjectiveModule) -> TaskObjective:
        """Gives the same with what heads choose on labelled dev rows."""
        heads = dict(self.heads)
        for data in self.tasks:
            if data.is_judged and heads[data.name].chooses(data.task):
                found = self.outputs(module, data.name, "dev")
                heads[data.name] = heads[data.name].calibrated(self.prepared[data.name]["dev"], found)
        return replace(self, heads=heads)


class TaskModule(ObjectiveModule):
    """Parts of the score: one for each task, by name. frozen: the backbone learns nothing and runs without dropout."""

    def __init__(
        self,
        model: LoadedModel,
        heads: Mapping[str, HeadModule],
        *,
        texts: Sequence[Unlabelled] = (),
        frozen: bool = False,
    ):
        super().__init__()
        self.architecture, self.frozen = model.architecture, frozen
        self.backbone = model.backbone()
        self.heads = nn.ModuleDict({module_key(name): head for name, head in heads.items()})
        writing = [head for head in heads.values() if head.writes]
        lm_head = model.lm_head_on(self.backbone) if writing or texts else None
        if lm_head is not None:
            for head in writing:
                head.attach(self.backbone, lm_head)
        self.lm_head: nn.Module | None = lm_head
        # In a plain mapping, so that what they share is not taken for parts of theirs.
        self._texts = {text.name: self._posed(text) for text in texts}
        self._answered = tuple(heads)
        self.loss_weights = dict.fromkeys([*heads, *self._texts], 1.0)
        self.backbone.requires_grad_(not frozen)
        for parameter in own_to_languages(self.backbone):  # as in Conneau et al. 2020 (1911.01464), Section 3.3
            parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> TaskModule:
        super().train(mode)
        for text in self._texts.values():  # no parts of this module, and some ask in which mode they are
            text.train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def hidden(self, arrays: Mapping[str, Tensor]) -> Tensor:
        """Returns hidden states [B, T, D] of a batch, or [B, U, D] of the text to write. Where the head reads only some
        places, it returns those states [N, D]."""
        wanted = self.head(_task_of(arrays)).wanted(arrays)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return states(self.backbone, arrays, wanted=wanted)

    def forward(self, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        name = _task_of(arrays)
        if name in self._texts:
            (score,) = self._texts[name](arrays).values()
            return {name: score}
        return {name: self.head(name).score(self.hidden(arrays), arrays)}

    def predict(self, arrays: Mapping[str, Tensor]) -> Tensor:
        name = _task_of(arrays)
        if name in self._texts:
            return self._texts[name].predict(arrays)
        return self.head(name).logits(self.hidden(arrays), arrays)

    def answer(self, arrays: Mapping[str, Tensor]) -> Tensor:
        return self.head(_task_of(arrays)).output(self.hidden(arrays), arrays)

    @property
    def saved_heads(self) -> dict[str, nn.Module]:
        return super().saved_heads | {head_key(name): self.head(name) for name in self._answered}

    def head(self, name: str) -> HeadModule:
        """Returns the head of a task."""
        head = self.heads[module_key(name)]
        assert isinstance(head, HeadModule)
        return head

    def _posed(self, text: Unlabelled) -> ObjectiveModule:
        """The objective of running text on this backbone and its language-model head."""
        vocabulary = text.model.tokenizer.vocabulary
        made = text.objective.build_on(self.backbone, self.architecture, vocabulary)
        assert self.lm_head is not None
        made.use_lm_head(self.lm_head)
        return made


def _task_of(arrays: Mapping[str, Tensor]) -> str:
    return next(key for key in arrays if key.startswith("task/")).removeprefix("task/")


def _class_weights(settings: FineTuning, data: TaskData) -> np.ndarray | None:
    """Inverse frequencies of the labels, with mean 1 over the training labels; None where classes weigh alike."""
    labels = labels_of(data.task)
    if settings.class_weights == "none" or not labels:
        return None
    flat = [label for example in data.usable("train") for label in example.labels]
    counts = np.array([flat.count(label) for label in labels], dtype=np.float64)
    return counts.sum() / (np.maximum(counts, 1) * (counts > 0).sum())


def _asked_head(settings: FineTuning, data: TaskData) -> Head | None:
    """The task's own, that of its kind, or the one for all."""
    return settings.heads.get(data.name, settings.heads.get(plugins.name_of(data.task), settings.head))


def told_language(prepared: Prepared, model: LoadedModel, code: str | None) -> Prepared:
    """Gives the rows with their language, where the model knows it."""
    if code not in model.languages:
        return prepared
    told = np.full(prepared.rows.num_pieces, model.languages.index(code), dtype=np.uint8)
    return replace(prepared, rows=prepared.rows.with_planes(language=told))


def outputs(
    module: ObjectiveModule, model: LoadedModel, head: Head, prepared: Prepared, *, name: str, batch_size: int = 64
) -> Outputs:
    """Returns the head's output for each row [R] in order, without padding. The module must be in evaluation mode."""
    pad, has_segments = model.tokenizer.vocabulary.pad or 0, model.architecture.has_segments
    found: list[np.ndarray] = [np.zeros(0)] * len(prepared.rows)
    per_unit = max(1, round(len(prepared.rows) / max(1, len(prepared))))
    for units in in_batches(prepared.costs, max(1, batch_size // per_unit)):
        rows = prepared.row_numbers(units)
        batch = prepared.batch(units, pad=pad, has_segments=has_segments, name=name)
        with torch.inference_mode():
            values = module.answer(to_tensors(batch.arrays, device_of(module))).cpu().numpy()
        for row, value in zip(rows, values):
            found[row] = value[: prepared.rows.lengths[row]] if head.is_by_piece else value
    return found
