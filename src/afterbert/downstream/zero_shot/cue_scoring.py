"""A task asked by a cue: predictions, figures beside guessing, and the same without the cue."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from afterbert.base.config import to_plain
from afterbert.base.errors import UserError
from afterbert.base.noise import Noise
from afterbert.base.plugins import name_of, names
from afterbert.base.runs import write_atomically
from afterbert.downstream.cues import Cue, CuedRows
from afterbert.downstream.example import Example
from afterbert.downstream.figures.results import TaskResult, summarize, write_results
from afterbert.downstream.reading.data import TaskData
from afterbert.downstream.zero_shot.text_generation import TextGenerator

_ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Cued:
    """data: the rows that were asked; predictions: split -> one for each readable row. without, control: the same
    without the cue."""

    data: TaskData
    predictions: dict[str, list[Any]]
    without: dict[str, list[Any]]
    result: TaskResult
    control: TaskResult


def ask(generator: TextGenerator, data: TaskData, cue: Cue, *, max_rows: int | None = None) -> Cued:
    """Returns the answers on every split but the training rows (on those too when there is no other), for the first
    `max_rows` of each. Examples for the cue are drawn from the training rows. Raises UserError if cue and task do not
    fit."""
    check_cue(data, cue)
    shots = _shots(data, cue)
    used = {split: rows for split, rows in data.splits.items() if split != "train"} or dict(data.splits)
    taken = {
        split: tuple(row for row in rows if data.task.has_text(row) and row not in shots)[:max_rows]
        for split, rows in used.items()
    }
    data = replace(data, splits={"train": data.splits["train"], **taken} if "train" in data.splits else taken)
    found = [
        {split: _answers(generator, data, cue, rows, shots, cued=cued) for split, rows in taken.items()}
        for cued in (True, False)
    ]
    control = summarize(data, [found[1]])
    return Cued(data, found[0], found[1], summarize(data, [found[0]]), replace(control, name=f"{data.name}, no cue"))


def check_cue(data: TaskData, cue: Cue) -> None:
    """Raises UserError if cue and task do not fit."""
    if not isinstance(data.task, cue.tasks):
        kinds = ", ".join(name_of(kind).replace("_", " ") for kind in cue.tasks)
        raise UserError(
            f"{data.name} is {name_of(data.task).replace('_', ' ')}, but the cue {name_of(cue)} poses {kinds}; choose "
            f"another of: {', '.join(names(Cue))}"
        )


def write_cued(folder: Path, done: Cued, *, model: str, cue: Cue) -> None:
    """Writes `results.json` and `predictions/TASK.SPLIT.jsonl`."""
    folder.joinpath("predictions").mkdir(parents=True, exist_ok=True)
    facts = {"model": model, "cue": to_plain(cue)}
    write_results(folder / "results.json", [done.result, done.control], facts)
    for split, predictions in done.predictions.items():
        rows = done.data.splits[split]
        lines = [
            json.dumps({"key": row.key, "prediction": prediction}, ensure_ascii=False)
            for row, prediction in zip(rows, predictions, strict=True)
        ]
        write_atomically(folder / "predictions" / f"{done.data.name}.{split}.jsonl", "\n".join(lines) + "\n")


def _shots(data: TaskData, cue: Cue) -> list[Example]:
    if not cue.num_shots:
        return []
    rows = [row for row in data.splits.get("train", ()) if data.task.is_usable(row) and row.label]
    if len(rows) < cue.num_shots:
        raise UserError(
            f"{data.name} has {len(rows)} training rows to show as examples, but the cue wants {cue.num_shots}; name a "
            "folder with a train file, or set --cue.num_shots 0"
        )
    order = Noise(0).of("shots").permutation(len(rows), np.arange(cue.num_shots))
    return [rows[int(i)] for i in order]


def _answers(
    generator: TextGenerator, data: TaskData, cue: Cue, rows: Sequence[Example], shots: Sequence[Example], *, cued: bool
) -> list[Any]:
    """In portions of rows of like length."""
    order = sorted(range(len(rows)), key=lambda i: sum(map(len, rows[i].texts)))
    found: list[Any] = [None] * len(rows)
    for begin in range(0, len(order), _ROWS_AT_ONCE):
        some = order[begin : begin + _ROWS_AT_ONCE]
        answers = cue.answers(CuedRows(generator, data.task, [rows[i] for i in some], shots, cued))
        for i, answer in zip(some, answers, strict=True):
            found[i] = answer
    return found
