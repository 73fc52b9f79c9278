"""What labelled tasks are asked of a finished run, as its arm says: learned, made smaller, told by a cue, or answered
by several runs together. All leave the same behind: a folder with `results.json` and predictions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from afterbert.base.config import digest, to_plain
from afterbert.base.plugins import find, name_of
from afterbert.base.runs import write_atomically
from afterbert.base.sealed import write_sealed
from afterbert.downstream.figures.results import tupled
from afterbert.downstream.finetuning.bench import fingerprint
from afterbert.downstream.finetuning.prediction import Answerer
from afterbert.downstream.finetuning.saving import load_finetuned
from afterbert.downstream.metrics import Metric
from afterbert.downstream.reading.data import read
from afterbert.downstream.reading.find_task import DataOptions
from afterbert.downstream.zero_shot.cue_scoring import ask
from afterbert.downstream.zero_shot.text_generation import TextGenerator
from afterbert.study.design import Arm
from afterbert.study.made import FinishedRun, TaskAnswers
from afterbert.study.plan import StudyPlan
from afterbert.workflows.compression import CompressRequest, prepare_compression, run_compression
from afterbert.workflows.finetune_request import FinetuneRequest, run_setup, set_up
from afterbert.workflows.loading import load_model_or_checkpoint
from afterbert.workflows.observer import WorkObserver

_LEAST = 1e-6  # probabilities are written with six digits


class Stopped(Exception):
    """A signal came, and the run it came in has saved everything."""

    def __init__(self, exit_code: int):
        self.exit_code = exit_code


class _Quiet(WorkObserver):
    """Fine-tuning is one line of a study."""


def answered(plan: StudyPlan, arm: Arm, model: Path, seed: int, observer: WorkObserver) -> Mapping[str, Path]:
    """Task -> the folder of what this model answers. Raises Stopped where a signal came."""
    if arm.cue is not None:
        return {name: folder for task in plan.request.tasks for name, folder in _told(plan, arm, model, task, seed)}
    found = _tuned(plan, arm, model, seed, observer)
    if not arm.compress:
        return found
    return {
        name: _made_smaller(plan, arm, folder, task, name, seed, observer)
        for task, (name, folder) in zip(plan.request.tasks, found.items(), strict=True)
    }


def together(plan: StudyPlan, members: Sequence[FinishedRun]) -> FinishedRun:
    """Several runs that answer as one: the class whose mean logit is highest (T5, 1910.10683, Section 3.6), read off
    the probabilities that each wrote, which tell logits but for what all classes share."""
    tasks = {}
    for name in members[0].tasks:
        answers = [TaskAnswers.read(member.tasks[name], name) for member in members]
        rows, first = [one.rows for one in answers], answers[0]
        assert all([row["key"] for row in one] == [row["key"] for row in first.rows] for one in rows), "the same rows"
        labels = list(first.rows[0]["probability"])
        made_of = [member.tasks[name].relative_to(plan.request.out).as_posix() for member in members]
        tasks[name] = plan.request.out / f"ensemble-{digest(made_of)}-{name}"
        values = []
        for told in zip(*rows, strict=True):
            logits = {label: sum(np.log(max(one["probability"][label], _LEAST)) for one in told) for label in labels}
            values.append(max(logits, key=logits.__getitem__))
        _write(tasks[name], name, first.split, find(Metric, first.metric)(), values, first.rows)
    return FinishedRun(None, tasks, tuple(members))


def _tuned(plan: StudyPlan, arm: Arm, model: Path, seed: int, observer: WorkObserver) -> Mapping[str, Path]:
    """Task -> folder of the fine-tuning that learned it, which is one for all where the arm has a strategy."""
    found: dict[str, Path] = {}
    how, asked = arm.finetune, plan.request.tasks
    settings = {**plan.scale.finetune, **how.set, "seed": str(seed), "num_seeds": "1"}
    strategy = json.dumps(to_plain(how.strategy)) if how.strategy is not None else None
    for tasks in [asked] if strategy is not None and asked else [(task,) for task in asked]:
        request = FinetuneRequest(
            model=str(model),
            tasks=tasks,
            epochs=plan.scale.epochs * how.share,
            from_scratch=not arm.is_pretrained,
            recipe=how.recipe,
            strategies=(strategy,) if strategy is not None else (),
            unlabelled=(str(plan.stores[plan.study.reference].folder),) if how.reads_text else (),
            overrides=tuple(settings.items()),
        )
        setup = set_up(request)
        names = [data.name for data in setup.bench.tasks]
        out = plan.request.out / setup.out.name
        if strategy is not None:
            out = out.with_name(f"{out.name}-{digest(strategy, length=4)}")
        folder = out / name_of(how.strategy) if how.strategy is not None else out
        if not (folder / "results.json").is_file():
            begins = model.name if arm.is_pretrained else "random weights"
            by = f" by {name_of(how.strategy)}" if how.strategy is not None else ""
            observer.on_line(f"fine-tuning on {', '.join(names)} from {begins}{by}, seed {seed}")
        done = run_setup(replace(setup, out=out), observer=_Quiet(), device=plan.device)
        if done.exit_code:
            raise Stopped(done.exit_code)
        found |= dict.fromkeys(names, folder)
    return found


def _made_smaller(
    plan: StudyPlan, arm: Arm, tuned: Path, task: str, name: str, seed: int, observer: WorkObserver
) -> Path:
    """What a fine-tuned model answers after the arm's methods, and how large it is then (compression.json)."""
    out = plan.request.out / f"compress-{digest([tuned.name, arm.compress])}"
    if not (out / "results.json").is_file():
        observer.on_line(f"{', '.join(arm.compress)}: {tuned.name}")
        before = TaskAnswers.read(tuned, name)
        request = CompressRequest(
            model=str(tuned / f"seed-{seed}"),
            methods=arm.compress,
            out=out,
            task=task,
            split=before.split if before.split == "test" else None,
            controls=False,
            timed=False,
            seed=seed,
            overwrite=True,
        )
        setup = prepare_compression(request)
        run_compression(setup, _Quiet())
        assert setup.examination is not None
        values = [one.value for one in Answerer(load_finetuned(out), name)(setup.examination.rows)]
        _write(out, name, before.split, find(Metric, before.metric)(), values, before.rows)
    return out


def _told(plan: StudyPlan, arm: Arm, model: Path, task: str, seed: int) -> list[tuple[str, Path]]:
    """What a model answers that was only told the task, in words or, as the control, without them."""
    assert arm.cue is not None
    source = DataOptions().find(task)
    data = read(source, needs_training=bool({"train", "all"} & source.files.keys()))
    made_of = [fingerprint([data]), to_plain(arm.cue), arm.is_told, arm.is_pretrained, model.name, seed]
    out = plan.request.out / f"cue-{digest(made_of)}"
    if not (out / "results.json").is_file():
        loaded = load_model_or_checkpoint(str(model))
        loaded = loaded if arm.is_pretrained else loaded.from_scratch()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # of random weights
            generator = TextGenerator.of(loaded, device=plan.device)
        split = next((one for one in ("test", "dev") if one in data.splits), None)
        if split is None:
            split, data = "dev", data.with_dev(seed=seed)
        rows = data.usable(split)
        shown = {"train": data.splits["train"]} if "train" in data.splits else {}
        done = ask(generator, replace(data, splits=shown | {split: rows}), arm.cue)
        values = (done.predictions if arm.is_told else done.without)[split]
        told = [{"key": row.key, "label": row.label} for row in rows]
        _write(out, data.name, split, data.task.metrics[0], values, told)
    return [(data.name, out)]


def _write(
    folder: Path, name: str, split: str, metric: Metric, values: Sequence[Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Predictions and their figure as fine-tuning leaves them, results.json last."""
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({**row, "prediction": value}, ensure_ascii=False) for row, value in zip(rows, values, strict=True)
    ]
    write_atomically(folder / "predictions" / f"{name}.{split}.jsonl", "\n".join(lines) + "\n")
    mean = metric(values, [tupled(row["label"]) for row in rows])
    told = {"splits": {split: {"metrics": {metric.name: {"mean": mean}}}}}
    write_sealed(folder / "results.json", {"tasks": {name: told}})
