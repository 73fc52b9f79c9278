"""A fine-tuned model on disk: a Hugging Face folder of the class for its task, beside it the heads and what they
answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from afterbert.base import config
from afterbert.base.errors import UserError
from afterbert.base.plugins import name_of
from afterbert.base.run_files import no_folder
from afterbert.base.runs import write_atomically
from afterbert.base.sealed import read_sealed, sealed
from afterbert.base.tree import located
from afterbert.downstream.finetuning.graph_answers import GraphModule
from afterbert.downstream.finetuning.objective import TaskModule, TaskObjective
from afterbert.downstream.finetuning.task_card import SplitFigures, task_card
from afterbert.downstream.heads import Footing, Head, HeadModule
from afterbert.downstream.task_name import head_key, module_key
from afterbert.downstream.tasks import Task
from afterbert.interop.families import Family
from afterbert.interop.folder import export_folder
from afterbert.interop.graph_folder import is_graph, read_graph
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import check_no_graph_of_others, load_model
from afterbert.interop.own import Own, any_family
from afterbert.interop.task_class import Answering, TaskKind
from afterbert.interop.untrusted_files import digests_as_metadata, read_weights
from afterbert.interop.weight_file import write_weights
from afterbert.models import Summary
from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.devices import default_device

HEADS, _ANSWERS = "heads.safetensors", "heads.json"
_RESTORE = "copy the model again, or fine-tune it anew"


@dataclass(frozen=True)
class Loaded:
    """The view of a model that answers tasks, and what each task answers and how. `module` is in evaluation mode."""

    model: LoadedModel
    """What it was fine-tuned from, or the folder that it was saved in: tokenizer and architecture."""
    module: ObjectiveModule
    """What answers: backbone and heads, in whatever they were trained in."""
    tasks: dict[str, Task]
    heads: dict[str, Head]
    length: int
    """The most pieces of a row."""
    summary: Summary
    """What speaks for a row."""
    figures: Mapping[str, Mapping[str, SplitFigures]] = field(default_factory=dict)
    """Task -> split -> how well it is answered."""
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Task -> part -> the column of the training file that played it."""

    @property
    def lm_head(self) -> nn.Module | None:
        """The language-model head, where tasks are answered with texts."""
        return self.module.saved_heads.get("lm_head")

    def head(self, name: str) -> HeadModule:
        """Returns the trained head of a task."""
        head = self.module.saved_heads[head_key(name)]
        assert isinstance(head, HeadModule)
        return head

    def answering(self, name: str) -> Answering | None:
        """Returns the head of a task in the form of a Hugging Face class; None if no class fits."""
        return self.heads[name].answering(self.tasks[name], self.head(name))

    def save(self, folder: Path, *, own: bool = False) -> tuple[str, ...]:
        """Writes the folder that `load_finetuned` reads: of Hugging Face's class for the task where it answers one and
        such a class exists, else the backbone alone; beside it the heads of all tasks. own: the backbone in our layout.
        Returns sentences about heads that only the latter hold."""
        folder.mkdir(parents=True, exist_ok=True)
        notes: tuple[str, ...] = ()
        is_class = len(self.tasks) == 1 and self.lm_head is None and not own
        if is_class:
            try:
                self._write_class(folder, next(iter(self.tasks)))
            except UserError as reason:
                is_class, notes = False, (f"{reason}; {HEADS} holds the head, which afterbert reads",)
        if not is_class:
            heads = {} if self.lm_head is None else {"lm_head": self.lm_head}
            self._export(folder, heads=heads, family=Own() if own else None, or_own=True)
            write_atomically(folder / "README.md", self._card(list(self.tasks), None, notes))
        self._write_heads(folder, list(self.tasks))
        return notes

    def only(self, name: str) -> Loaded:
        """Returns this model with only one of its tasks."""
        return replace(self, tasks={name: self.tasks[name]}, heads={name: self.heads[name]})

    def export(self, out: Path, name: str, *, family: Family | None = None) -> Family:
        """Writes one task as a folder of Hugging Face's class for it. Raises UserError if there is none."""
        written = self._write_class(out, name, family=family)
        self._write_heads(out, [name])
        return written

    def _write_class(self, out: Path, name: str, *, family: Family | None = None) -> Family:
        answering = self.answering(name)
        if answering is None:
            head = name_of(self.heads[name])
            raise UserError(f"no Hugging Face class holds the head {head} of {name}")
        family = family or (any_family(self.model.family) if self.model.family else None)
        written = self._export(out, family=family, answering=answering)
        write_atomically(out / "README.md", self._card([name], answering.kind, ()))
        return written

    def _export(self, out: Path, *, heads: Mapping[str, nn.Module] | None = None, **how: Any) -> Family:
        return export_folder(
            out,
            self.model.architecture,
            self.module.backbone,
            heads or {},
            vocabulary=self.model.tokenizer.vocabulary,
            tokenizer=self.model.folder,
            longest=self.length,
            **how,
        )

    def _card(self, names: Sequence[str], kind: TaskKind | None, notes: Sequence[str]) -> str:
        tasks = {name: self.tasks[name] for name in names}
        chosen = {name: self.heads[name].chosen(self.tasks[name]) for name in names}
        said = [f"{name}: {one['said']}" for name, one in chosen.items() if one]
        return task_card(tasks, self.figures, length=self.length, kind=kind, notes=(*notes, *said))

    def _write_heads(self, folder: Path, names: Sequence[str]) -> None:
        """`heads.safetensors` and `heads.json`, by which `load_finetuned` knows the folder."""
        heads = {
            f"{module_key(name)}.{key}": tensor.contiguous().cpu()
            for name in names
            for key, tensor in self.head(name).state_dict().items()
        }
        write_weights(folder / HEADS, heads, digests_as_metadata(heads, None))
        self.write_answers(folder, names)

    def write_answers(self, folder: Path, names: Sequence[str]) -> None:
        """Writes `heads.json`: what each task asks, and how its answers are read."""
        answers = {
            "length": self.length,
            "summary": self.summary,
            "tasks": {name: config.to_plain(self.tasks[name]) for name in names},
            "heads": {name: config.to_plain(self.heads[name]) for name in names},
            "columns": {name: dict(self.columns.get(name, {})) for name in names},
            "figures": {
                name: {split: asdict(found) for split, found in self.figures[name].items()}
                for name in names
                if name in self.figures
            },
        }
        write_atomically(folder / _ANSWERS, json.dumps(sealed(answers), indent=1, ensure_ascii=False) + "\n")


def save_finetuned(
    folder: Path,
    module: ObjectiveModule,
    asked: TaskObjective,
    figures: Mapping[str, Mapping[str, SplitFigures]] | None = None,
) -> tuple[str, ...]:
    """Writes what a fine-tuning run has trained; see `Loaded.save`."""
    tasks = {data.name: data.task for data in asked.tasks}
    settings = asked.settings
    trained = Loaded(
        asked.model,
        module,
        tasks,
        dict(asked.heads),
        settings.length,
        asked.summary,
        figures or {},
        {data.name: data.columns for data in asked.tasks},
    )
    return trained.save(folder)


def has_answers(folder: Path) -> bool:
    """Returns whether a model folder, or that of one seed's fine-tuning run, holds heads that answer tasks."""
    return (folder / _ANSWERS).is_file() or (folder / "model" / _ANSWERS).is_file()


def figure_on_dev(folder: Path) -> float | None:
    """Returns the mean of the tasks' main metrics on dev of a fine-tuned model, in a folder that `has_answers`; higher
    is better. None if none was measured."""
    place = folder / "model" if (folder / "model" / _ANSWERS).is_file() else folder
    answers = read_sealed(place / _ANSWERS, remedy=_RESTORE)
    found = []
    for name, plain in answers["tasks"].items():
        measured = answers.get("figures", {}).get(name, {}).get("dev", {}).get("metrics", {})
        for main in config.build(Task, located(plain, str(place / _ANSWERS))).metrics[:1]:
            if main.name in measured:
                found.append(measured[main.name] * (1 if main.higher_is_better else -1))
    return sum(found) / len(found) if found else None


def load_finetuned(name: str | Path, *, device: torch.device | str | None = None) -> Loaded:
    """Reads a fine-tuned model from a run's folder, or its `model/`. device: the GPU where there is one if it is None.
    Raises UserError if the folder has no heads."""
    path = Path(name)
    path = path / "model" if (path / "model" / _ANSWERS).is_file() else path
    if not path.exists():
        raise UserError(no_folder(name))
    if not (path / _ANSWERS).is_file():
        if below := sorted(path.rglob(_ANSWERS)):  # of several seeds, strategies, or exported tasks
            one = below[0].parents[1] if below[0].parent.name == "model" else below[0].parent
            raise UserError(f"{name} holds fine-tuned models in folders below it; name one of these, such as {one}")
        check_no_graph_of_others(path)
        raise UserError(
            f"{name} has no fine-tuned head ({_ANSWERS}); fine-tune it first: afterbert finetune --model {name}"
        )
    model, graph = read_graph(path) if is_graph(path) else (load_model(path), None)
    answers = read_sealed(path / _ANSWERS, remedy=_RESTORE)
    origin = str(path / _ANSWERS)
    tasks: dict[str, Task] = {}
    heads: dict[str, Head] = {}
    for one in answers["tasks"]:
        tasks[one] = config.build(Task, located(answers["tasks"][one], origin))
        heads[one] = config.build(Head, located(answers["heads"][one], origin))
    summary: Summary = answers["summary"] or model.architecture.summary  # None in folders of before December 2026
    module: ObjectiveModule
    if graph is None:
        on = Footing(model, summary)
        module = TaskModule(model, {name: heads[name].build(task, on) for name, task in tasks.items()})
        module.heads.load_state_dict(read_weights(path / HEADS))
    else:
        module, device = GraphModule(graph), "cpu"
    figures = {
        name: {split: SplitFigures(**found) for split, found in splits.items()}
        for name, splits in answers.get("figures", {}).items()
    }
    module.to(device or default_device()).eval()
    length, columns = answers["length"], answers.get("columns", {})
    return Loaded(model, module, tasks, heads, length, summary, figures, columns)


def finetuned_folder(source: Path) -> tuple[Path, tuple[str, ...]]:
    """Finds the folder to read of a fine-tuning run, that of the seed which did best on dev, and what to say of the
    others; any other source as it is."""
    if has_answers(source) or (source / "model").is_dir():
        return source, ()
    seeds = sorted(path for path in source.glob("seed-*") if has_answers(path))
    if not seeds:
        return source, ()
    figures = {seed: figure_on_dev(seed) for seed in seeds}
    judged = [seed for seed in seeds if figures[seed] is not None]
    best = max(judged, key=lambda seed: figures[seed] or 0.0, default=seeds[0])
    if len(seeds) == 1:
        return best, ()
    why = "did best on dev" if judged else "is the first, for no row of dev has a label"
    return best, (f"of {len(seeds)} seeds this is {best.name}, which {why}",)
