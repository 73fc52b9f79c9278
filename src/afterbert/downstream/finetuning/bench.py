"""A fine-tuning made ready: what is asked and what is trained, which every seed shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
import xxhash

from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.mixing.scheduled import Scheduled
from afterbert.downstream.finetuning.objective import TaskObjective
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.finetuning.unlabelled import Unlabelled
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.tasks import labels_of
from afterbert.interop.loaded import LoadedModel
from afterbert.objectives import Objective
from afterbert.objectives.modules import ObjectiveModule
from afterbert.text.token_store.store import NoText
from afterbert.training.checkpoints.identity import RunIdentity
from afterbert.training.feed import Feed, feed_for
from afterbert.training.observers import Observer

#: Turns the objective of tasks into the one that is trained in its place, an objective around it.
Wrap = Callable[[Objective], Objective]


def unwrapped(objective: Objective) -> Objective:
    """Returns the objective as it is."""
    return objective


@dataclass(frozen=True)
class Bench:
    """One model, one task or many, and how they are trained."""

    asked: TaskObjective
    """The tasks: their rows, their heads, their predictions."""
    wrap: Wrap = unwrapped
    device: torch.device | str | None = None
    """Where it is trained; None: on the GPU where there is one."""
    observers: Sequence[Observer] = ()
    """Who is told how training goes."""

    @staticmethod
    def of(model: LoadedModel, tasks: Sequence[TaskData], settings: FineTuning, **others: Any) -> Bench:
        """Reads everything into rows. others: `texts` among the tasks, and fields of the bench. Raises UserError where
        model, task and head do not go together."""
        return Bench(TaskObjective.of(model, tasks, settings, texts=others.pop("texts", ())), **others)

    def again(
        self,
        tasks: Sequence[TaskData],
        settings: FineTuning,
        *,
        texts: Sequence[Unlabelled] = (),
        model: LoadedModel | None = None,
    ) -> Bench:
        """Makes another one ready, trained in the same way. model: the same one where it is None."""
        return replace(self, asked=TaskObjective.of(model or self.asked.model, tasks, settings, texts=texts))

    def with_settings(self, settings: FineTuning) -> Bench:
        """Gives the same rows and heads with settings that change neither."""
        return replace(self, asked=replace(self.asked, settings=settings))

    @cached_property
    def objective(self) -> Objective:
        """What is trained."""
        return self.wrap(self.asked)

    @property
    def settings(self) -> FineTuning:
        return self.asked.settings

    @property
    def tasks(self) -> tuple[TaskData, ...]:
        return self.asked.tasks

    def module(self) -> ObjectiveModule:
        """Returns fresh heads on the model's backbone, in whatever is around them."""
        model, rows = self.asked.model, NoText()
        module = self.objective.build(model.architecture, model.tokenizer.vocabulary)
        self.objective.begin(module, rows)
        return module

    def feed(self, seed: int) -> Feed:
        """Returns the training batches of the run of one seed."""
        settings, vocabulary = self.settings, self.asked.model.tokenizer.vocabulary
        return feed_for(
            self.objective, NoText(), settings.training(seed), vocabulary=vocabulary, length=settings.length
        )

    def identity(self, seed: int) -> RunIdentity:
        """Returns what a run of this seed is made from."""
        recipe = {**self.objective.plain(), "seed": seed}
        return RunIdentity(
            recipe, fingerprint(self.tasks), self.asked.model.tokenizer.digest, way_out="name another --out"
        )

    def check_choice(self) -> None:
        """Raises UserError if the best weights are to be kept, but nothing says which these are."""
        if self.settings.chooses and not any(data.is_judged for data in self.tasks):
            wish = "patience" if self.settings.patience is not None else "keep: best"
            names = ", ".join(data.name for data in self.tasks)
            raise UserError(f"{wish} needs labelled dev rows, but {names} has none; leave it out, or label some")

    def check_names(self) -> None:
        """Raises UserError where `virtual_sizes` names something that is not trained on, so has no effect. `heads` may
        name tasks that are not there, as a recipe for many does."""
        known = list(self.asked.batches.prepared)
        for name in self.settings.virtual_sizes:
            if name not in known:
                raise UserError(f"virtual_sizes: nothing here is called '{name}'; {did_you_mean(name, known)}")

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about rows that were cut, settings without effect, and the model."""
        asked, settings, longest = self.asked, self.settings, self.asked.model.longest
        notes = [*asked.model.notes]
        if settings.length > longest:
            notes.append(f"rows have {longest} pieces, as many as the model reads, not {settings.length}")
        for data in asked.tasks:
            head, known = asked.heads[data.name], asked.model.architecture.languages
            strange = [split for split in data.splits if known and data.language_of(split) not in known]
            if strange:
                notes.append(f"{data.name}: {', '.join(strange)}: no language that the model knows, so it is told none")
            notes += [f"{data.name}: {note}" for note in data.notes]
            notes += [
                f"{data.name}: {split}: {found.cut:,} of {len(found.examples):,} rows are longer than "
                f"{min(settings.length, longest)} pieces and {head.when_too_long}"
                for split, found in asked.prepared[data.name].items()
                if found.cut
            ]
            if settings.class_weights != "none" and not (labels_of(data.task) and head.weighs_classes):
                notes.append(f"{data.name}: class_weights has no effect, since no head of classes answers it")
        if isinstance(settings.mixing, Scheduled) and settings.budget.unit not in ("epochs", "steps"):
            notes.append(
                f"mixing is at its last weights after one epoch, since {settings.budget} is no number of steps; write "
                "the budget in steps or epochs"
            )
        if settings.chooses:
            notes.append("weights are chosen on dev, so figures of dev flatter them; those of other splits do not")
        return tuple(notes)


def fingerprint(tasks: Sequence[TaskData]) -> str:
    """Returns a name for all rows of all tasks: other texts, labels or splits have another one."""
    digest = xxhash.xxh3_128()
    for data in tasks:
        for split, examples in data.splits.items():
            for example in examples:
                line = "\x1f".join((data.name, split, example.key, *example.texts, repr(example.label)))
                digest.update(line.encode("utf-8", "surrogatepass") + b"\x1e")
        if data.switched is not None:  # the copies follow from the rows and from this
            digest.update(repr(data.switched).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
