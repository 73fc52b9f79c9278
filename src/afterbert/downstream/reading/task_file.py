"""A task written down as YAML, for whatever a guess would get wrong."""

from dataclasses import dataclass, field
from pathlib import Path

from afterbert.base import config
from afterbert.base.errors import UserError, did_you_mean
from afterbert.base.tree import Node, read
from afterbert.downstream.formats import Format
from afterbert.downstream.reading.guess import guess_format
from afterbert.downstream.reading.source import TaskSource
from afterbert.downstream.tasks import Task


@dataclass(frozen=True)
class TaskFile:
    """files: split -> path, relative to the task file. columns: part -> column name or number from 1; those
    left out are found by name."""

    task: Task
    files: dict[str, str]
    name: str | None = None
    format: Format | None = None
    columns: dict[str, str | int] = field(default_factory=dict)


def read_task_file(path: Path) -> TaskSource:
    """Returns the task that a YAML file describes. Raises one UserError with every mistake, each with its line."""
    tree = read(path)
    if not isinstance(tree.value, dict):
        raise UserError(f"{path}: a task file is a mapping of settings; see docs/tasks.md")
    made = config.build(TaskFile, tree)
    problems = [*_missing_files(path, tree, made), *_unknown_parts(tree, made)]
    if problems:
        raise UserError(*problems)
    files = {split: path.parent / file for split, file in made.files.items()}
    return TaskSource(
        name=made.name or path.stem,
        task=made.task,
        format=made.format or guess_format(next(iter(files.values()))),
        columns={part: str(column) for part, column in made.columns.items()},
        files=files,
        why=f"{made.name or path.stem}: as {path.name} says",
    )


def _missing_files(path: Path, tree: Node, made: TaskFile) -> list[str]:
    nodes = tree.value["files"].value
    if not made.files:
        return [f"{tree.value['files'].origin}: files: names no file; write train: FILE"]
    return [
        f"{nodes[split].origin}: files.{split}: {file} does not exist beside {path.name}; check the path"
        for split, file in made.files.items()
        if not (path.parent / file).exists()
    ]


def _unknown_parts(tree: Node, made: TaskFile) -> list[str]:
    known = [*made.task.parts, *made.task.optional_parts]
    return [
        f"{tree.value['columns'].value[part].origin}: columns.{part} is no part of this task; "
        f"{did_you_mean(part, known)}"
        for part in made.columns
        if part not in known
    ]
