"""A fine-tuned model on disk: the backbone as a Hugging Face folder, beside it the heads and what they
answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from afterbert.base import config
from afterbert.base.errors import UserError
from afterbert.base.runs import write_atomically
from afterbert.base.small_files import read_json_object
from afterbert.base.tree import located
from afterbert.downstream.finetuning.bench import Bench
from afterbert.downstream.finetuning.objective import TaskModule
from afterbert.downstream.heads import Head
from afterbert.downstream.posing.backbone import Summary
from afterbert.downstream.tasks import Task
from afterbert.interop.folder import export_folder
from afterbert.interop.loaded import LoadedModel
from afterbert.interop.loading import load_model
from afterbert.interop.weight_file import write_weights

HEADS, _ANSWERS = "heads.safetensors", "heads.json"


@dataclass(frozen=True)
class Loaded:
    """A fine-tuned model again: its module in evaluation mode, and for each task what it answers and how."""

    model: LoadedModel
    module: TaskModule
    tasks: dict[str, Task]
    heads: dict[str, Head]
    length: int


def save_finetuned(folder: Path, module: TaskModule, bench: Bench) -> None:
    """Writes `config.json`, `model.safetensors`, the tokenizer, `heads.safetensors` and `heads.json`. Raises
    UserError where no family of Hugging Face's computes exactly this backbone."""
    model = bench.model
    export_folder(
        folder,
        model.architecture,
        module.backbone,
        {} if module.lm_head is None else {"lm_head": module.lm_head},
        vocabulary=model.tokenizer.vocabulary,
        tokenizer=model.folder,
    )
    heads = {name: tensor.contiguous().cpu() for name, tensor in module.heads.state_dict().items()}
    write_weights(folder / HEADS, heads, {"format": "pt"})
    answers = {
        "length": bench.settings.length,
        "summary": bench.settings.summary,
        "tasks": {data.name: config.to_plain(data.task) for data in bench.tasks},
        "heads": {name: config.to_plain(head) for name, head in bench.heads.items()},
    }
    write_atomically(folder / _ANSWERS, json.dumps(answers, indent=1, ensure_ascii=False) + "\n")


def load_finetuned(name: str | Path, *, device: torch.device | str = "cpu") -> Loaded:
    """From a fine-tuning run's folder, or its `model/`. Raises UserError where the folder has no heads."""
    path = Path(name)
    path = path / "model" if (path / "model" / _ANSWERS).is_file() else path
    seeds = sorted(path.glob(f"seed-*/model/{_ANSWERS}"))
    if seeds and not (path / _ANSWERS).is_file():
        raise UserError(
            f"{name} holds runs of {len(seeds)} seeds; name one of them, such as {seeds[0].parents[1]}"
        )
    if not (path / _ANSWERS).is_file():
        raise UserError(
            f"{name} has no fine-tuned head ({_ANSWERS}); fine-tune it first: afterbert finetune --model {name}"
        )
    model = load_model(path)
    answers = read_json_object(path / _ANSWERS)
    origin = str(path / _ANSWERS)
    tasks: dict[str, Task] = {}
    heads: dict[str, Head] = {}
    for one in answers["tasks"]:
        tasks[one] = config.build(Task, located(answers["tasks"][one], origin))
        heads[one] = config.build(Head, located(answers["heads"][one], origin))
    summary: Summary | None = answers["summary"]
    module = TaskModule(model, _built(model, tasks, heads, summary))
    module.heads.load_state_dict(load_file(path / HEADS))
    return Loaded(model, module.to(device).eval(), tasks, heads, answers["length"])


def _built(
    model: LoadedModel, tasks: dict[str, Task], heads: dict[str, Head], summary: Summary | None
) -> dict:
    speaks = summary or model.architecture.summary
    made: dict[str, nn.Module] = {
        name: heads[name].build(task, model, summary=speaks, class_weights=None)
        for name, task in tasks.items()
    }
    return made
