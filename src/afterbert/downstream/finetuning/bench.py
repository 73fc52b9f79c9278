"""One model, one task or many, all splits as rows: what every seed of a fine-tuning shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xxhash

from afterbert.base import plugins
from afterbert.base.config import to_plain
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.mixing.scheduled import Scheduled
from afterbert.base.noise import Noise
from afterbert.downstream.example import Example
from afterbert.downstream.figures.results import TaskResult, summarize
from afterbert.downstream.finetuning.feed import TaskFeed
from afterbert.downstream.finetuning.objective import TaskModule, outputs
from afterbert.downstream.finetuning.settings import FineTuning
from afterbert.downstream.finetuning.unlabelled import Unlabelled
from afterbert.downstream.heads import Head, head_for
from afterbert.downstream.posing.formatting import Formatter
from afterbert.downstream.posing.prepared import Prepared
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.tasks import labels_of
from afterbert.interop.loaded import LoadedModel
from afterbert.training.checkpoints.identity import RunIdentity


@dataclass(frozen=True)
class Bench:
    """Everything that seeds share: model, tasks, heads, all splits as rows, and running text among the tasks."""

    model: LoadedModel
    tasks: tuple[TaskData, ...]
    settings: FineTuning
    heads: Mapping[str, Head]
    prepared: Mapping[str, Mapping[str, Prepared]]
    notes: tuple[str, ...]
    texts: tuple[Unlabelled, ...] = ()

    @staticmethod
    def of(
        model: LoadedModel,
        tasks: Sequence[TaskData],
        settings: FineTuning,
        *,
        texts: Sequence[Unlabelled] = (),
    ) -> Bench:
        """Reads everything into rows. Raises UserError where model, task and head do not go together."""
        names = [*(task.name for task in tasks), *(text.name for text in texts)]
        if len(set(names)) < len(names):
            raise UserError(f"two tasks are called the same ({', '.join(names)}); name them as name:PATH")
        formatter = Formatter(model.tokenizer, min(settings.length, model.longest))
        tasks = [_shared(task).with_dev(seed=settings.seed) for task in tasks]
        heads = {
            data.name: head_for(data.task, _asked_head(settings, data)).settled(model, data.name)
            for data in tasks
        }
        if settings.frozen and any(head.writes for head in heads.values()):
            raise UserError(
                "head text has nothing of its own to learn on a frozen backbone; leave frozen out"
            )
        prepared = {
            data.name: {
                split: heads[data.name].prepare(data.task, readable(data, split), formatter)
                for split in data.splits
                if readable(data, split)
            }
            for data in tasks
        }
        notes = [*model.notes]
        if settings.length > model.longest:
            notes.append(
                f"rows have {model.longest} pieces, as many as the model reads, not {settings.length}"
            )
        for data in tasks:
            splits = prepared[data.name]
            notes += [f"{data.name}: {note}" for note in data.notes]
            notes += [
                f"{data.name}: {split}: {found.cut:,} of {len(data.splits[split]):,} rows are longer than "
                f"{formatter.length} pieces and {heads[data.name].when_too_long}"
                for split, found in splits.items()
                if found.cut
            ]
            if settings.class_weights != "none" and not (
                labels_of(data.task) and heads[data.name].weighs_classes
            ):
                notes.append(f"{data.name}: class_weights has no effect, since no head of classes answers it")
            if "train" not in splits or not splits["train"].asked.any():
                raise UserError(f"{data.name}: no training row has a text and a label that can be learned")
        if isinstance(settings.mixing, Scheduled) and settings.budget.unit not in ("epochs", "steps"):
            notes.append(
                f"mixing is at its last weights after one epoch, since {settings.budget} is no number of steps; write "
                "the budget in steps or epochs"
            )
        if settings.chooses:
            notes.append(
                "weights are chosen on dev, so figures of dev flatter them; those of other splits do not"
            )
        return Bench(model, tuple(tasks), settings, heads, prepared, tuple(notes), tuple(texts))

    def check_choice(self) -> None:
        """Raises UserError where the best weights are to be kept, but nothing says which these are."""
        if self.settings.chooses and not any(self.is_judged(data) for data in self.tasks):
            wish = "patience" if self.settings.patience is not None else "keep: best"
            names = ", ".join(data.name for data in self.tasks)
            raise UserError(
                f"{wish} goes by dev rows, but none of {names} has a label; leave it out, or label some"
            )

    def check_names(self) -> None:
        """Raises UserError where `virtual_sizes` names something that is not trained on, so has no effect."""
        known = [*(data.name for data in self.tasks), *(text.name for text in self.texts)]
        for name in self.settings.virtual_sizes:
            if name not in known:
                raise UserError(
                    f"virtual_sizes: nothing here is called '{name}'; {did_you_mean(name, known)}"
                )

    def identity(self, seed: int) -> RunIdentity:
        """What a run of this seed is made from."""
        recipe = {
            "model": self.model.name,
            "weights": self.model.digests,
            "finetuning": {**to_plain(replace(self.settings, num_seeds=1, seed=0)), "seed": seed},
            "tasks": {data.name: to_plain(data.task) for data in self.tasks},
            "texts": {
                text.name: [text.split.fingerprint, text.length, to_plain(text.objective)]
                for text in self.texts
            },
        }
        return RunIdentity(recipe, _fingerprint(self.tasks), self.model.tokenizer.digest)

    def module(self) -> TaskModule:
        """Fresh heads on the model's backbone."""
        architecture = self.model.architecture
        summary = self.settings.summary or architecture.summary
        heads = {
            data.name: self.heads[data.name].build(
                data.task, self.model, summary=summary, class_weights=_class_weights(self.settings, data)
            )
            for data in self.tasks
        }
        for name, head in heads.items():
            # Learned before, in an earlier stage of training.
            if f"head/{name}" in self.model.weights:
                head.load_state_dict(self.model.weights[f"head/{name}"])
        return TaskModule(self.model, heads, texts=self.texts, frozen=self.settings.frozen)

    def feed(self) -> TaskFeed:
        """The training batches."""
        budget = self.settings.budget
        labelled = {name: splits["train"] for name, splits in self.prepared.items()}
        feed = TaskFeed.of(
            labelled | {text.name: text for text in self.texts},
            batch_size=self.settings.batch_size,
            mixing=self.settings.mixing,
            pad=self.pad,
            has_segments=self.model.architecture.has_segments,
            epochs=budget.amount if budget.unit == "epochs" else 1.0,
            virtual_sizes=self.settings.virtual_sizes,
        )
        if budget.unit != "steps":
            return feed
        return replace(feed, epochs=budget.amount / sum(feed.sizes.values()))

    @property
    def pad(self) -> int:
        return self.model.tokenizer.vocabulary.pad or 0

    def predict(self, module: TaskModule, name: str, split: str, *, device: torch.device) -> list[Any]:
        """One prediction for each readable row of a split. The module is in evaluation mode."""
        data = next(data for data in self.tasks if data.name == name)
        found = self.outputs(module, name, split, device=device)
        return self.heads[name].predictions(
            data.task, readable(data, split), self.prepared[name][split], found
        )

    def outputs(
        self, module: TaskModule, name: str, split: str, *, device: torch.device
    ) -> Sequence[np.ndarray]:
        """The head's output for each row of a split."""
        return outputs(
            module,
            self.heads[name],
            self.prepared[name][split],
            name=name,
            pad=self.pad,
            has_segments=self.model.architecture.has_segments,
            device=device,
        )

    def calibrated(self, module: TaskModule, *, device: torch.device) -> Bench:
        """The same with what heads choose on dev rows."""
        heads = dict(self.heads)
        for data in self.tasks:
            if "dev" in self.prepared[data.name] and heads[data.name].chooses(data.task):
                found = self.outputs(module, data.name, "dev", device=device)
                heads[data.name] = heads[data.name].calibrated(
                    data.task, readable(data, "dev"), self.prepared[data.name]["dev"], found
                )
        return replace(self, heads=heads)

    def summarized(self, name: str, runs: Sequence[Mapping[str, Sequence[Any]]]) -> TaskResult:
        """The figures of one task from its predictions [seeds][split][rows]."""
        data = next(data for data in self.tasks if data.name == name)
        is_written = self.heads[name].writes
        return summarize(data, runs, noise=Noise(0).of("bootstrap"), is_written=is_written)

    def figures(self, module: TaskModule, *, device: torch.device) -> dict[str, float]:
        """`task/metric` on the dev splits."""
        found: dict[str, float] = {}
        for data in self.tasks:
            if not self.is_judged(data):
                continue
            scores = self.scores(data, "dev", self.predict(module, data.name, "dev", device=device))
            found |= {f"{data.name}/{metric}": value for metric, value in scores.items()}
        return found

    def is_judged(self, data: TaskData) -> bool:
        """Whether a task has dev rows with labels."""
        return any(data.task.is_usable(row) for row in data.splits.get("dev", ()))

    def scores(self, data: TaskData, split: str, predictions: Sequence[Any]) -> dict[str, float]:
        """Metric -> value of predictions for the readable rows of a split."""
        pairs = zip(readable(data, split), predictions, strict=True)
        usable = [(example, guess) for example, guess in pairs if data.task.is_usable(example)]
        return data.task.score([guess for _, guess in usable], [example for example, _ in usable])

    def main_figure(self, figures: Mapping[str, float]) -> float:
        """The mean of the tasks' main metrics, the higher the better."""
        mains = [(data.name, data.task.metrics[0]) for data in self.tasks]
        signed = [
            figures[f"{name}/{metric.name}"] * (1 if metric.higher_is_better else -1)
            for name, metric in mains
            if f"{name}/{metric.name}" in figures
        ]
        return float(np.mean(signed))


def _class_weights(settings: FineTuning, data: TaskData) -> np.ndarray | None:
    """Inverse frequencies of the labels, with mean 1 over the training labels; None where classes weigh alike."""
    labels = labels_of(data.task)
    if settings.class_weights == "none" or not labels:
        return None
    found = [e.label for e in data.usable("train")]
    flat = [one for label in found for one in (label if isinstance(label, tuple) else (label,))]
    counts = np.array([flat.count(label) for label in labels], dtype=np.float64)
    return counts.sum() / (np.maximum(counts, 1) * (counts > 0).sum())


def _asked_head(settings: FineTuning, data: TaskData) -> Head | None:
    """The task's own, that of its kind, or the one for all."""
    return settings.heads.get(data.name, settings.heads.get(plugins.name_of(data.task), settings.head))


def readable(data: TaskData, split: str) -> tuple[Example, ...]:
    """The rows that have text; of the training split those that have a label too."""
    fits = data.task.is_usable if split == "train" else data.task.has_text
    return tuple(example for example in data.splits[split] if fits(example))


def _shared(data: TaskData) -> TaskData:
    if "train" not in data.splits:
        raise UserError(f"{data.name}: has no training rows; name a file or folder with some")
    return data


def _fingerprint(tasks: Sequence[TaskData]) -> str:
    """A name for all rows of all tasks."""
    digest = xxhash.xxh3_128()
    for data in tasks:
        for split, examples in data.splits.items():
            for example in examples:
                line = "\x1f".join((data.name, split, example.key, *example.texts, repr(example.label)))
                digest.update(line.encode("utf-8", "surrogatepass") + b"\x1e")
    return digest.hexdigest()
